"""Free text of our own in many languages, to train the small tokenizers of the fixtures on."""

SENTENCES = """
The quick brown fox jumps over the lazy dog, and then it doesn't stop: it's running through the woods.
We've measured the length of every board twice, because wood that is cut too short can't be lengthened.
They're building a small boat; she'll be named after the river, I'd say, if nobody minds.
A mortise holds a tenon, and a tenon holds a table. The joiner's knife makes the first line.
In 1998 there were 3,141 visitors; in 2024 there were 27,182, which is 8.65 times as many.
Der Tischler misst zweimal und schneidet einmal. Größere Bretter liegen draußen, außerhalb der Werkstatt.
Le menuisier a dû réparer l'échelle; où est passé le garçon qui l'a cassée? Déjà parti, bien sûr.
El niño soñó con un pingüino que comía piñas en el jardín. ¿Dónde está la llave? ¡Aquí!
O coração da madeira é escuro; as tábuas são claras, e a porta não fecha.
Il falegname è già arrivato, perché la città è piccola e la strada è breve.
Snickaren hämtade verktyget från lådan på övervåningen och började såga på nytt.
Столяр измерил доску дважды и отрезал один раз. Сегодня на улице очень холодно, но в мастерской тепло.
Тесляр поміряв дошку двічі, а його їжак спав під лавкою.
Ο ξυλουργός μέτρησε δύο φορές και έκοψε μία. Η θάλασσα είναι ήρεμη σήμερα.
النجار يقيس مرتين ويقطع مرة واحدة. الجو بارد اليوم في المدينة.
הנגר מודד פעמיים וחותך פעם אחת. היום קר בחוץ.
बढ़ई दो बार नापता है और एक बार काटता है। आज मौसम ठंडा है।
ช่างไม้วัดสองครั้งและตัดครั้งเดียว วันนี้อากาศเย็น
木匠量两次,切一次。今天天气很冷,但是作坊里很暖和。
大工は二度測って一度切る。今日は寒いですが、工房は暖かいです。カタカナも使います。
목수는 두 번 재고 한 번 자른다. 오늘은 날씨가 춥지만 작업장은 따뜻하다.
Thợ mộc đo hai lần và cắt một lần. Hôm nay trời lạnh nhưng trong xưởng rất ấm.
Marangoz iki kez ölçer, bir kez keser. Bugün hava soğuk ama atölye sıcak; İstanbul'da ılık.
Truhlář měří dvakrát a řeže jednou. Příliš žluťoučký kůň úpěl ďábelské ódy.
Stolarz mierzy dwa razy, a tnie raz. Zażółć gęślą jaźń.
😀 smiling, 👍🏽 approving, 👩‍👩‍👧 a family, 🇩🇪 a flag, ❤️ a heart, 1️⃣ a key.
int main(int argc, char** argv) { for (int i = 0; i < argc; ++i) printf("%d\\n", i); return 0; }
def measure(board, *, times=2):\n    if times < 1:\n        raise ValueError("measure at least once")\n    return [board.length for _ in range(times)]
SELECT name, COUNT(*) AS n FROM boards WHERE length > 1.5e3 GROUP BY name ORDER BY n DESC;
<html><body class="wide"><p>Hello &amp; welcome</p></body></html>
https://example.org/path/to/file.txt?query=1&other=%20two#fragment user@example.com
\tTabs\tand    four spaces,        eight spaces,\n\n\nthree lines, and a trailing blank 
""".strip().replace("\\n", "\n").replace("\\t", "\t").split("\n")

WORDS = [word for sentence in SENTENCES for word in sentence.split(" ") if word]


def lines():
    """Training lines: sentences, and their words counted differently so that merges are many."""
    for weight, sentence in enumerate(SENTENCES):
        for _ in range(3 + weight % 5):
            yield sentence
    for index, word in enumerate(WORDS):
        for _ in range(1 + index * 7 % 11):
            yield word + " " + WORDS[(index * 31 + 7) % len(WORDS)]

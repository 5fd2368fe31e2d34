"""Small templates, one behaviour each, rendered over CONTEXT."""

CONTEXT = {
    "n": 7, "neg": -3, "f": 2.5, "s": "Hello World", "u": "ÄÖü ß éa 日本", "empty": "", "yes": True, "no": False, "nil": None,
    "l": [3, 1, 2], "words": ["pear", "Apple", "fig", "apple"], "d": {"b": 2, "a": 1, "C": 3},
    "nested": {"x": {"y": [10, 20, {"z": "deep"}]}}, "users": [
        {"name": "Bo", "age": 30, "active": True}, {"name": "al", "age": 25, "active": False}, {"name": "Cy", "age": 25}],
    "multi": "one\n  two\n\nthree", "html": "<a href='x'>&\"</a>", "big": 9007199254740993, "items": {"items": 1, "keys": "k"},
    "json": {"b": [1, 2.0, True, None, "é\n\t\"\\\u0001\u007f\u2028😀"], "a": {}, "e": []},
}

BRACES = [
    # numbers
    "1 + 2 * 3", "(1 + 2) * 3", "7 // 2", "-7 // 2", "7 % 3", "-7 % 3", "7 % -3", "2 ** 10", "2 ** -1", "7 / 2", "6 / 2",
    "1.5 + 1", "0.1 + 0.2", "1e16", "1e15", "123456789.123", "1e-5", "0.0001", "1.0", "-2 ** 2", "+5", "- 5", "1_000", "0x1f",
    "0b101 + 0o17", "1 + true", "big", "n + f", "n - neg", "neg | abs", "-n | abs", "7.5 // 2", "-7.5 % 2", "3 * 'ab'",
    "'ab' * 0", "[1] * 3", "[1] + [2]", "(1,) + (2,)", "10 > 9 > 8", "1 < 2 < 2", "1 == 1.0", "true == 1", "'1' == 1",
    "1 != 2", "1 if n > 5 else 2", "1 if n > 50", "'x' if n > 5 else 'y' if n > 3 else 'z'", "not n", "not not n",
    "n and f", "no or 'fallback'", "nil or 0 or []", "yes and no", "n is defined and n > 3", "1 ~ 2 ~ 'x' ~ nil ~ true",
    "'a' ~ 1 + 2", "2 + 3 ~ 4", "1 - 1 - 1", "2 * 3 % 4", "8 / 2 / 2", "2 ** 3 ** 2",
    # strings
    "s", "s[0]", "s[-1]", "s[1:4]", "s[::-1]", "s[:-6]", "s[6:]", "s[::2]", "s[10:2:-3]", "s[100:]", "u[0]", "u[-2:]", "u|length",
    "u|upper", "u|lower", "u|title", "u|capitalize", "s|replace('l', 'L')", "s|replace('l', 'L', 1)", "s.replace('o', '0')",
    "'aaa'.replace('', '-')", "'aaa'|replace('', '-', 2)", "s.upper()", "s.lower()", "'they\\'re bill\\'s'.title()", "'it\\'s a-b (c)'|title",
    "s.split()", "' a  b '.split()", "'a,b,,c'.split(',')", "'a,b,c'.split(',', 1)", "'a b c'.split(None, 1)", "'a b c'.rsplit(' ', 1)",
    "'a b c '.rsplit(None, 1)", "'  x '.strip() ~ '|'", "'xxaxx'.strip('x')", "'xya'.lstrip('yx')", "'axy'.rstrip('xy')",
    "'\\u00a0\\u3000x\\u2003'.strip()", "s.startswith('He')", "s.endswith(('x', 'ld'))", "s.startswith('World', 6)", "s.find('o')", "s.find('o', 5)", "s.rfind('o')",
    "s.find('zz')", "s.index('W')", "s.count('l')", "'aaaa'.count('aa')", "u.count('')", "'-'.join(words)", "'{} and {}'.format(1, 'x')",
    "'{1}{0}{name!r:>6}'.format('a', 'b', name='c')", "'{:5d}|{:<5}|{:^5}|{:>5}'.format(42, 'a', 'b', 'c')", "'{:.2f} {:,} {:05d} {:x} {:+}'.format(3.14159, 1234567, 42, 255, 5)",
    "'{0[name]} {0[age]:>4}'.format(users[0])", "'{{}} {}'.format(1)", "'%s %d %5.2f %x %%' % ('a', 3, 2.5, 255)", "'%-5s|%5s|%05d' % ('a', 'b', 42)", "'%(x)s' % {'x': 1}", "'%s' % 5", "'%r' % 'x'", "'%s-%s'|format(1, 2)",
    "s is string", "'a' 'b' \"c\"", "'\\n\\t\\\\\\'\\x41\\u00e9\\U0001F600'", "'\\q'", "'x' in 'xyz'", "'' in 'x'", "'x' not in 'abc'", "'abc' < 'abd'",
    "'a\\nb'|indent", "multi|indent(2)", "multi|indent(2, true)", "multi|indent(2, true, true)", "multi|indent('> ', blank=true)", "''|indent(3, true)",
    "multi.splitlines()", "multi.splitlines(true)", "'x'|center(6) ~ '|'", "'x'|center(5) ~ '|'", "'ab'.center(5, '*')", "'x'.ljust(3, '.') ~ 'x'.rjust(3)", "'-42'.zfill(6)",
    "'a=b=c'.partition('=')", "'a=b=c'.rpartition('=')", "'abc'.partition('x')", "'abc'.removeprefix('a').removesuffix('c')", "'123'.isdigit()", "'12a'.isdigit()", "'abc'.isalpha()", "' '.isspace()", "'Ab'.islower()", "'AB1'.isupper()", "'½'.isnumeric()",
    "html|escape", "html|e|length", "html|safe", "s|wordcount", "'hello world this is long text'|truncate(15)", "'hello world'|truncate(9, true, '..', 0)", "s|trim('Hd')", "s|list", "s|reverse", "s|first ~ s|last",
    "'a b&c/é'|urlencode", "'%.3f' % 2", "'%5s' % 'é'", "'{:>4}'.format('é')",
    # lists and mappings
    "l", "l[0]", "l[-1]", "l[1:]", "l[5] is defined", "(1, 2)", "(1,)", "()", "[]", "{}", "[1, 'a', none, true, 1.5]", "{'a': 1, 'b': [2]}", "d['a']", "d.a", "d.zzz", "d['zzz'] is undefined",
    "d.get('a')", "d.get('q')", "d.get('q', 5)", "d.keys()|list", "d.values()|list", "d.items()|list", "d|items|list", "d|dictsort", "d|dictsort(true)", "d|dictsort(by='value', reverse=true)", "d|length", "'a' in d", "1 in d", "2 in l", "2 not in l", "l.index(1)", "l.count(3)",
    "items.items()|list", "items['items']", "items.keys is callable", "nested.x.y[2].z", "nested['x']['y'].1", "l|sort", "l|sort(reverse=true)", "words|sort", "words|sort(case_sensitive=true)", "words|unique|list", "words|unique(true)|join(',')", "l|min ~ l|max ~ l|sum", "words|min", "[]|min is undefined", "[]|first is undefined", "[1.5, 2]|sum", "[[1],[2]]|sum(start=[])",
    "l|join('-')", "users|map(attribute='name')|join(', ')", "users|map(attribute='active', default='?')|list", "words|map('upper')|list", "words|map('replace', 'p', 'q')|list", "users|selectattr('active')|map(attribute='name')|list", "users|selectattr('age', 'equalto', 25)|list|length", "users|rejectattr('active')|map(attribute='name')|join",
    "users|selectattr('active', 'defined')|list|length", "users|sort(attribute='age,name')|map(attribute='name')|list", "users|sum(attribute='age')", "users|max(attribute='age')", "users|join('/', attribute='name')", "l|select('odd')|list", "l|reject('odd')|list", "[0, 1, '', 'x']|select|list", "[1, none]|reject('none')|list", "l|select('in', [1, 2])|list", "l|select('>', 1)|list", "words|select('equalto', 'fig')|list", "l|map('string')|list", "l|reverse|list", "l|batch(2)|list", "l|batch(2, 'x')|list", "range(7)|slice(3)|map('list')|list", "range(5)|list", "range(2, 5)|list", "range(5, 0, -2)|list", "range(0)|list", "range(3)|length", "dict(a=1, b=2)", "dict({'x': 1}, y=2)", "[1,2] == [1,2]", "{'a':1} == {'a':1.0}", "(1,2) == [1,2]", "[1,2] < [1,3]", "{1: 'a', true: 'b', 'x': 2}", "[[1, [2, 'x\\'y']], {\"a\": (1,)}]", "(words|selectattr('zzz') is iterable)", "'yes' if l|select('equalto', 99) else 'no'", "l|list|last", "d|list", "d|first", "d|join", "[1,2,3,4][1:3]|tojson", "l is sequence", "d is mapping", "l|count",
    # printing
    "[0.1, 1e100, -0.0, 1e22, 12345678901234567.0]", "['it\\'s', '\"', 'both\\'\"', '\\n', 'é', '\\x00\\x7f\\u200b']", "none", "true", "nil", "[none, true, false]", "undefined_name", "[undefined_name]|length",
    # filters on numbers
    "42.55|round", "42.55|round(1)", "42.55|round(1, 'floor')", "42.51|round(0, 'ceil')", "2.5|round", "3.5|round", "0.125|round(2)", "1234|round(-2)", "1250|round(-2)", "42|round", "'42'|int", "'42.9'|int", "'x'|int", "'x'|int(5)", "'ff'|int(0, 16)", "'0x1A'|int(0, 16)", "3.99|int", "true|int", "' 12 '|int", "'1_0'|int", "'1.5'|float", "'x'|float", "3|float", "'1e3'|float", "nil|default('d')", "zz|default('d')", "zz|d", "empty|default('d', true)", "false|default('d', boolean=true)", "zz|default", "nil|int", "n|string ~ 1",
    # tests
    "n is number", "yes is number", "yes is integer", "yes is boolean", "n is integer", "f is float", "nil is none", "zz is undefined", "zz is defined", "n is odd", "n is even", "n is divisibleby 7", "n is divisibleby(2)", "n is eq 7", "n is not eq 7", "n is gt 3", "n is lessthan 3", "n is ge(7)", "3 is in l", "3 is in([1])", "s is upper", "'ABC' is upper", "'abc' is lower", "s is iterable", "n is iterable", "zz is iterable", "zz is sequence", "d is sequence", "range is callable", "s is sameas s", "yes is true", "n is true", "no is false", "nil is string", "'upper' is filter", "'odd' is test", "not n is odd", "n is not none and s is string", "d is iterable", "l is mapping", "n is sequence", "n is ne(8)", "(1,2) is sequence",
    # tojson
    "json|tojson", "json|tojson(indent=2)", "json|tojson(ensure_ascii=true)", "json|tojson(sort_keys=true)", "json|tojson(separators=(',', ':'))", "d|tojson(indent=4)", "'é\"'|tojson", "[1.0, 1e100, none]|tojson", "{}|tojson(indent=2)", "{1: 2, none: 3, true: 4}|tojson", "(1, 2)|tojson", "html|tojson", "n|tojson",
    # errors
    "zz.attr", "zz + 1", "zz < 1", "n + 'x'", "'x' + n", "l.append(4)", "d.update({})", "raise_exception('boom')", "1 / 0", "1 // 0", "1 % 0", "'abc'.index('z')", "l|last|length", "l|map('nope')|list", "n|length", "n[0].x", "nil.x.y", "range(1000000)|length", "l|select|length", "1 in 'abc'", "zz()", "n()", "[1] < ['a']", "'%d' % 'x'", "'%s %s' % (1,)", "'%s' % (1, 2)", "'{} {}'.format(1)", "{[1]: 2}", "l.nope()", "d|tojson(bogus=1)", "s|trim(1)", "5|join", "'a'.split('')", "[zz]|tojson", "-s", "l['x'].y", "loop.index",
]

STATEMENTS = [
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in [] %}a{% else %}none{% endfor %}", "{% for x in l if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }} {% endfor %}",
    "{% for x in l if x > 9 %}a{% else %}none{% endfor %}", "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for c in 'aé日' %}{{ c }}.{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}<{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for a in [1,2] %}{% for b in [3,4] %}{{ a }}{{ b }}{{ loop.index }}{{ loop.depth }} {% endfor %}{{ loop.index }}{% endfor %}", "{% for a in [1,2] %}{% set outer = loop %}{% for b in [3] %}{{ outer.index }}{% endfor %}{% endfor %}",
    "{% set x = 1 %}{% for i in l %}{% set x = i %}{{ x }}{% endfor %}{{ x }}", "{% set x = 1 %}{% for i in l %}{{ x }}{% set x = x + i %}{{ x }} {% endfor %}", "{% if true %}{% set y = 5 %}{% endif %}{{ y }}", "{% set ns = namespace(n=0, s='') %}{% for i in l %}{% set ns.n = ns.n + i %}{% set ns.s = ns.s ~ i %}{% endfor %}{{ ns.n }}{{ ns.s }}{{ ns.q is defined }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a, b = [3, 4] %}{{ b }}{{ a }}", "{% set t = 1, 2 %}{{ t }}", "{% set x %}abc{{ n }}{% endset %}{{ x|upper }}{{ x|length }}", "{% set x | upper | trim %}  abc {% endset %}[{{ x }}]", "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter replace('a', 'b')|upper %}aca{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% if n > 5 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if n > 50 %}a{% elif n > 3 %}b{% else %}c{% endif %}", "{% if n > 50 %}a{% elif n > 30 %}b{% else %}c{% endif %}", "{% if zz %}a{% endif %}b",
    "{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }}", "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}", "{% macro m() %}{{ caller() }}!{% endmacro %}{% call m() %}body{{ n }}{% endcall %}", "{% macro m() %}{{ caller('p') }}!{% endmacro %}{% call(v) m() %}<{{ v }}>{% endcall %}", "{% macro f(n) %}{{ n }}{% if n > 0 %},{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}", "{% macro m() %}{{ glob }}{% endmacro %}{% set glob = 3 %}{{ m() }}", "{% macro m(x, y=x) %}{{ y }}{% endmacro %}{{ m(4) }}", "{% macro m() %}{% endmacro %}{{ m.name }}", "{% macro m() %}x{% endmacro %}{{ m() is string }}{{ m is callable }}",
    "{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i == 6 %}{% break %}{% endif %}{{ i }}{% endfor %}", "{% for i in l %}{% for j in l %}{% break %}{% endfor %}{{ i }}{% endfor %}",
    "{# comment #}a{#- strip -#} b", "a  {#- x -#}  b", "{% raw %}{{ x }}{% if %}{% endraw %}", "a {%- raw -%} {{ x }} {%- endraw -%} b", "{% raw %}\n x\n{% endraw %}\ny", "{{ '{{' }}", "{{ '%}' }}", "{{ {'a': {'b': 1}}.a.b }}", "{{ [1, 2, 3,] }}", "{{ (1, 2, 3,) }}", "{{ 1, 2 }}", "{{ l[0] }}{{- l[1] -}}  {{ l[2] }}",
    "  {% if true %}\n  x\n  {% endif %}\ny", "a\n  {% if true %}  \n  x{% endif %}\n\ny", "a\n  {%+ if true %}\nx\n  {%+ endif +%}\ny", "a\n   {%- if true -%}\n  x\n  {%- endif -%}\n y", "{% if true %}\n\n\nx{% endif %}", "x {% if true %} y {% endif %} z", "   {# c #}\nx", "\n\n{% set a = 1 %}\n\n{{ a }}\n\n", "a\n", "a\n\n", "\n", "a\r\nb\r{% if true %}\r\nc{% endif %}", "  {{ n }}  \n  {{ n }}\n", "\t{% if true %}x{% endif %}\t\ny", "a {{- n -}} b", "{%- if true -%} x {%- endif -%} y", "line\n  {# c #} text", "line\n  {% set a = 1 %} text{{ a }}", "{% generation %} x {% endgeneration %}", "{{ n }}\n{% if true %}{% endif %}\n{{ n }}\n",
    "{% for m in users -%}\n  {{ m.name }}\n{%- endfor %}", "{% set d2 = dict(d, z=9) %}{{ d2 }}", "{% set x = d %}{{ x.a }}", "{% if 'a' in d and d.a == 1 %}ok{% endif %}", "{{ namespace(a=1).a }}", "{% for x in l|sort %}{{ x }}{% endfor %}", "{% for u in users|selectattr('age', 'lt', 30) %}{{ u.name }}{% endfor %}", "{% set q = l|map('string') %}{{ q|join }}{{ q|join }}",
    "{% print n %}", "{% print 1, 2 %}", "{% if not (n == 7 or zz) %}a{% else %}b{% endif %}", "{{ users[0]['name'] ~ users[-1].name }}", "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    # refused
    "{% if %}", "{% if n %}", "{% endif %}", "{{ 1 + }}", "{{ }}", "{{ n", "{% for x %}{% endfor %}", "{% nope %}", "{{ n | nope }}", "{{ n is nope }}", "{{ 'abc }}", "{# open", "{% raw %}", "{{ (1 }}", "{{ 1) }}", "{% set 1 = 2 %}", "{% set d.a = 2 %}", "{% macro m(a=1, b) %}{% endmacro %}", "{% break %}", "{{ a b }}", "{% for x in l %}{% endif %}", "{{ n ? 1 : 2 }}", "{% set a, b = 1 %}", "{% set a, b = [1] %}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "{{ n is odd is even }}", "{{ m(1, a=2, 3) }}", "{% include 'x' %}", "{% for x in 5 %}{% endfor %}", "{% for a, b in [1] %}{% endfor %}",
]

// Cuts a stream of text into sentences, so that a screen reader speaks in those and not in tokens.

/** `say` hears each sentence once it is whole; end() gives it the rest. */
export class Sentences {
  constructor(say) {
    this.say = say;
    this.rest = "";
  }
  add(text) {
    this.rest += text;
    for (let cut = this.cut(); cut > 0; cut = this.cut()) {
      this.tell(this.rest.slice(0, cut));
      this.rest = this.rest.slice(cut);
    }
  }
  end() {
    this.tell(this.rest);
    this.rest = "";
  }
  cut() {
    const found = /[.!?:;][)"'”’]*\s|\n/.exec(this.rest);
    return found ? found.index + found[0].length : 0;
  }
  tell(text) {
    if (text.trim()) this.say(text.trim());
  }
}

// What was decided here and is not yet known to be on the server's disk. It survives a reload and a server that is away.

const RETRY_MS = 1000;

export class Outbox {
  /** `send(entry)` resolves when the server has kept it; rejects with {retry: true} when the server is away. */
  constructor(name, send, changed) {
    Object.assign(this, { name, send, changed, busy: false, away: false });
    this.entries = JSON.parse(localStorage.getItem(name) ?? "[]");
    this.flush();
  }

  put(entry) {
    this.entries.push(entry);
    this.keep();
    this.flush();
  }

  /** Remove an entry that was not sent yet; false where it is on its way or gone. */
  recall(request) {
    const at = this.entries.findIndex((entry) => entry.kind === "rate" && entry.request === request);
    if (at < 0 || (at === 0 && this.busy)) return false;
    this.entries.splice(at, 1);
    this.keep();
    return true;
  }

  keep() {
    localStorage.setItem(this.name, JSON.stringify(this.entries));
    this.changed();
  }

  async flush() {
    if (this.busy) return;
    this.busy = true;
    while (this.entries.length) {
      try {
        await this.send(this.entries[0]);
        this.away = false;
      } catch (fault) {
        if (fault.status === 401) {
          // Whoever signs in next may be somebody else: it waits here until the one who said it is back.
          this.busy = false;
          return;
        }
        if (fault.retry) {
          this.away = true;
          this.changed();
          await new Promise((done) => setTimeout(done, RETRY_MS));
          continue;
        }
        // The server has read it and will never take it; send() has told why.
      }
      this.entries.shift();
      this.keep();
    }
    this.busy = false;
    this.changed();
  }
}

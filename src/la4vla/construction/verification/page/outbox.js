// What was decided here and is not yet known to be on the server's disk. It survives a reload and a server that is away.
// Each entry has a place of its own in the browser's storage, so that two pages of one annotator keep theirs apart.

import { lasting } from "/page/storage.js";

const RETRY_MS = 1000;

export class Outbox {
  /** `send(entry)` resolves when the server has kept it; rejects with {retry: true} when the server is away. */
  constructor(name, send, changed) {
    Object.assign(this, { name, send, changed, busy: false, away: false, full: false, latest: 0 });
    const kept = lasting.keys().filter((key) => key.startsWith(`${name} `)).sort();
    this.entries = kept.map((key) => JSON.parse(lasting.get(key)));
    this.flush();
  }

  put(entry) {
    // The storage is sorted by names: what was said first goes first.
    this.latest = Math.max(Date.now(), this.latest + 1);
    const dated = { ...entry, at: this.latest };
    this.entries.push(dated);
    // Until it is sent, this page alone holds what the storage does not, and must say so.
    if (!lasting.put(this.place(dated), JSON.stringify(dated))) this.full = true;
    this.changed();
    this.flush();
  }

  place(entry) {
    return `${this.name} ${entry.at} ${entry.kind} ${entry.request}`;
  }

  /** Remove an entry that was not sent yet; false where it is on its way or gone. */
  recall(request) {
    const at = this.entries.findIndex((entry) => entry.kind === "rate" && entry.request === request);
    if (at < 0 || (at === 0 && this.busy)) return false;
    this.drop(at);
    return true;
  }

  drop(at) {
    const [entry] = this.entries.splice(at, 1);
    lasting.remove(this.place(entry));
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
      this.drop(0);
    }
    this.busy = false;
    this.changed();
  }
}

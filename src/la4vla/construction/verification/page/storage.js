// The browser's storage, where it gives any: some browsers forbid it, and then the very access to it fails.

class Storage {
  constructor(open) {
    this.memory = new Map();
    try {
      this.area = open();
      this.area.getItem("la4vla");
    } catch {
      this.area = null; // what is put here lasts as long as the page
    }
  }

  get forbidden() {
    return !this.area;
  }

  keys() {
    return this.area ? Object.keys(this.area) : [...this.memory.keys()];
  }

  get(key) {
    return (this.area ? this.area.getItem(key) : this.memory.get(key)) ?? null;
  }

  /** Keep a text; false where it will not outlive the page. */
  put(key, value) {
    try {
      if (this.area) {
        this.area.setItem(key, value);
        return true;
      }
      this.memory.set(key, String(value));
    } catch {
      // full
    }
    return false;
  }

  remove(key) {
    if (this.area) this.area.removeItem(key); else this.memory.delete(key);
  }
}

export const lasting = new Storage(() => window.localStorage);
export const ofThisTab = new Storage(() => window.sessionStorage);

// What the reader has picked. Parts of the page subscribe to the fields they show.

/** A record of fields with subscribers. */
export function makeStore(fields) {
  const listeners = [];
  return {
    ...fields,
    /** Change fields, and tell those who watch one that really changed. */
    set(changes) {
      const changed = Object.keys(changes).filter((name) => this[name] !== changes[name]);
      Object.assign(this, changes);
      for (const { names, listener } of listeners) {
        if (changed.some((name) => names.includes(name))) listener();
      }
    },
    /** Call `listener` after each change of one of the fields `names`. */
    watch(names, listener) {
      listeners.push({ names, listener });
    },
  };
}

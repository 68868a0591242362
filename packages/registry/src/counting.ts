import type { Link } from "./link.ts";
import type { Holder } from "./session.ts";

/** The same holder, with every write counted. */
export function counting(holder: Holder, link: Link): Holder {
  return {
    ...holder,
    write: (path, text) => link.writing(holder.write(path, text)),
    erase: (path) => link.writing(holder.erase(path)),
    withdraw: (paths) => link.writing(holder.withdraw(paths)),
  };
}

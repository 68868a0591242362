import { addressDocument, idFrom, type Layout, twoParts } from "./layout.ts";

/** registrator: `/services/<name>/<host>:<container>:<port>[:udp]` = `ip:port`; its tags and attributes are not there. */
export const registrator: Layout = {
  split: twoParts,
  documents: (folder) =>
    new Map(
      [...folder].map(([name, text]) => {
        const more = name.endsWith(":udp") ? { name, protocol: "udp" as const } : { name };
        return [idFrom(name), addressDocument(text, more)];
      }),
    ),
};

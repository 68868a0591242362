const EVENT_CHARS_MAX = 1024 * 1024;

/** The data of each event of such a stream; comments and names are passed over. @throws Error for an event without an end. */
export async function* eventData(stream: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of stream) {
    const events = `${rest}${piece}`.split("\n\n");
    rest = events.pop() ?? "";
    if (rest.length > EVENT_CHARS_MAX) throw new Error(`an event has more than ${EVENT_CHARS_MAX} characters`);
    for (const event of events) {
      const lines = event.split("\n").filter((line) => line.startsWith("data:"));
      if (lines.length > 0) yield lines.map((line) => line.slice("data:".length).trimStart()).join("\n");
    }
  }
}

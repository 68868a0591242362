import type { EventBus } from "@smartstack/core";
import { pino } from "pino";
import type { Role } from "./config.ts";
import { type Level, sentenceOf } from "./sentences.ts";

export type LogFormat = "pretty" | "json";

export interface Log {
  write(level: Level | "fatal", text: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Lines that only a person wants: nothing in JSON. */
  note(lines: readonly string[]): void;
  /** Writes one line per event from now on. */
  follow(events: EventBus, role: Role): void;
  /** Before the process ends: what is still in memory. */
  flush(): void;
}

export interface LogOptions {
  readonly format: LogFormat;
  readonly level: Level;
  /** For the time of day in pretty lines. */
  readonly now: () => number;
  /** A file descriptor; default 1, stdout. */
  readonly descriptor?: number;
}

const ORDER: readonly (Level | "fatal")[] = ["debug", "info", "warn", "error", "fatal"];

// A reader of our output that stops reading costs lines, not memory, and never holds traffic up.
const UNREAD_BYTES_MAX = 1024 * 1024;

export function createLog(options: LogOptions): Log {
  const { format, level, now } = options;
  const output = pino.destination({ dest: options.descriptor ?? 1, sync: false, maxLength: UNREAD_BYTES_MAX });
  // A reader that has gone away is no reason to stop serving.
  output.on("error", () => undefined);
  const json = pino({ level, base: null, formatters: { level: (label) => ({ level: label }) } }, output);
  const write: Log["write"] = (lineLevel, text, fields = {}) => {
    if (ORDER.indexOf(lineLevel) < ORDER.indexOf(level)) return;
    if (format === "json") json[lineLevel](fields, text);
    else output.write(`${prettyLine(now(), lineLevel, text)}\n`);
  };
  return {
    write,
    note(lines) {
      if (format === "pretty") output.write(lines.map((line) => `${line}\n`).join(""));
    },
    follow(events, role) {
      events.subscribe((event) => {
        const sentence = sentenceOf(event, role);
        write(sentence.level, sentence.text, { event: event.name, ...event.data });
      });
    },
    flush() {
      try {
        output.flushSync();
      } catch (error) {
        // Not yet open, or the reader is gone: nobody to tell.
        void error;
      }
    },
  };
}

/** `12:34:56 text`, with the level where it is above info. */
export function prettyLine(nowMs: number, level: Level | "fatal", text: string): string {
  const time = new Date(nowMs).toTimeString().slice(0, 8);
  const mark = level === "info" ? "" : `${level}: `;
  return `${time} ${mark}${text}`;
}

/**
 * What an agent beside a backend says of it, as HAProxy's agent-check: one line of words, each of which changes one thing
 * and leaves the others as they were said before. Pure.
 */
export interface Agent {
  /** Of its weight; undefined: never said. */
  readonly percent?: number;
  /** Requests or connections at once. */
  readonly slots?: number;
  readonly admin: "ready" | "drain" | "maint";
  readonly up: boolean;
  /** What it said of being down. */
  readonly text: string;
}

export const SILENT_AGENT: Agent = { admin: "ready", up: true, text: "" };

const PERCENT_MAX = 25_600;
const TEXT_CHARS_MAX = 100;

/** The agent's words after one more line; `problem`: words that nobody knows, which change nothing. */
export function afterLine(
  before: Agent,
  line: string,
): { readonly agent: Agent; readonly problem: string | undefined } {
  const [words = "", ...texts] = line.split("#");
  const text = texts.join("#").trim().slice(0, TEXT_CHARS_MAX);
  let agent = before;
  const unknown: string[] = [];
  for (const word of words.split(/[\s,]+/).filter((each) => each !== "")) {
    const next = afterWord(agent, word.toLowerCase(), text);
    if (next === undefined) unknown.push(word.slice(0, TEXT_CHARS_MAX));
    else agent = next;
  }
  return {
    agent,
    problem: unknown.length === 0 ? undefined : `says what nobody knows: ${unknown.slice(0, 3).join(" ")}`,
  };
}

function afterWord(agent: Agent, word: string, text: string): Agent | undefined {
  const percent = /^(\d{1,5})%$/.exec(word)?.[1];
  if (percent !== undefined) return { ...agent, percent: Math.min(PERCENT_MAX, Number(percent)) };
  const slots = /^maxconn:(\d{1,9})$/.exec(word)?.[1];
  if (slots !== undefined) return withSlots(agent, Number(slots));
  switch (word) {
    case "ready":
    case "drain":
    case "maint":
      return { ...agent, admin: word };
    case "up":
      return { ...agent, up: true, text: "" };
    case "down":
    case "failed":
    case "fail":
    case "stopped":
      return { ...agent, up: false, text: text === "" ? word : `${word}: ${text}` };
    default:
      return undefined;
  }
}

/** 0: no limit, as in HAProxy. */
function withSlots({ slots: _, ...agent }: Agent, slots: number): Agent {
  return slots === 0 ? agent : { ...agent, slots };
}

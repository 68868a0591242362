// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax under test
import { describe, expect, it } from "vitest";
import { substitute } from "./substitute.ts";

const env = { A: "1", EMPTY: "" };

describe("substitute", () => {
  it.each([
    ["x${A}y${A}", "x1y1"],
    ["${A:-d}", "1"],
    ["${NO:-d e}", "d e"],
    ["${NO:-}", ""],
    ["${EMPTY:-d}", "d"],
    ["${EMPTY}", ""],
    ["$${A} ${A}", "${A} 1"],
    ["$A $ {A} ${1} ${}", "$A $ {A} ${1} ${}"],
    ["<%= ENV['A'] %>", "1"],
    ['<%=ENV["A"]%>', "1"],
    ["a<%= ENV['A'] -%>b", "a1b"],
    ["<%= ENV.fetch('A') %>", "1"],
    ["<%= ENV.fetch('NO', 'd') %>", "d"],
    ["<%= ENV.fetch(\"NO\", '') %>", ""],
    ["<%= ENV['NO'] || 'd' %>", "d"],
    ["<%= ENV['A'] || \"d\" %>", "1"],
    ["a<%# a comment %>b", "ab"],
    ["100%", "100%"],
  ])("%s is %j", (text, expected) => {
    expect(substitute(text, env)).toBe(expected);
  });

  it.each(["${NO}", "<%= ENV['NO'] %>", "<%= ENV.fetch('NO') %>"])(
    "refuses %s, which has neither value nor default",
    (text) => {
      expect(() => substitute(text, env)).toThrow("environment variable NO is not set and has no default");
    },
  );

  it.each(["<%= 1 + 1 %>", "<% if true %>", "<%= `id` %>", "<%= ENV['A'].to_i %>"])("refuses Ruby: %s", (text) => {
    expect(() => substitute(text, env)).toThrow("only <%= ENV['NAME'] %> is understood here");
  });

  it("does not substitute in what it has put in", () => {
    expect(substitute("${X}", { X: "${A}", A: "1" })).toBe("${A}");
  });
});

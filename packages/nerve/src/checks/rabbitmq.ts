import { passwordKeys, passwordOf } from "@smartstack/core";
import { z } from "zod";
import { CONNECTION, expectMethod, longString, methodFrame, PROTOCOL_HEADER, shortString } from "./amqp.ts";
import type { CheckKind, OptionsOf, ProbeRequest, ProbeResult } from "./check.ts";
import { converse, type Wire } from "./conversation.ts";

const keys = {
  ...passwordKeys,
  /** Default, with the password: guest, as in Airbnb's nerve. */
  username: z.string().min(1).max(255).default("guest"),
  vhost: z.string().min(1).max(255).default("/"),
};

type RabbitOptions = OptionsOf<typeof keys>;

/** Passes when the user can log in and open the virtual host (AMQP 0-9-1). It declares and publishes nothing. */
export const rabbitmq: CheckKind<RabbitOptions> = { active: true, inConfig: true, keys, probe };

/** Without this capability a refused login is a connection that just ends, with no reason to show. */
const CLIENT_PROPERTIES = longString(
  Buffer.concat([
    shortString("product"),
    Buffer.from("S"),
    longString("smartstack-nerve"),
    shortString("capabilities"),
    Buffer.from("F"),
    longString(Buffer.concat([shortString("authentication_failure_close"), Buffer.from("t\x01")])),
  ]),
);

function probe(request: ProbeRequest<RabbitOptions>): Promise<ProbeResult> {
  return converse(request, async (wire) => {
    const { username, vhost } = request.options;
    const password = (await passwordOf(request.options)) ?? "guest";
    wire.send(PROTOCOL_HEADER);
    await expectMethod(wire, CONNECTION.start);
    const login = longString(`\0${username}\0${password}`);
    wire.send(methodFrame(CONNECTION.startOk, CLIENT_PROPERTIES, shortString("PLAIN"), login, shortString("en_US")));
    const limits = await expectMethod(wire, CONNECTION.tune);
    if (limits.length < 8) throw new Error("not AMQP 0-9-1: limits that are cut short");
    // Its own limits on channels and frames, and no heartbeats: this connection ends in a moment.
    wire.send(methodFrame(CONNECTION.tuneOk, limits.subarray(0, 6), Buffer.from([0, 0])));
    wire.send(methodFrame(CONNECTION.open, shortString(vhost), shortString(""), Buffer.from([0])));
    await expectMethod(wire, CONNECTION.openOk);
    await sayGoodbye(wire);
    return { passed: true, reason: `opened vhost ${vhost}` };
  });
}

/** The server logs a warning for every client that just goes. */
async function sayGoodbye(wire: Wire): Promise<void> {
  const code = Buffer.from([0, 200]);
  wire.send(methodFrame(CONNECTION.close, code, shortString("checked"), Buffer.from([0, 0, 0, 0])));
  await expectMethod(wire, CONNECTION.closeOk);
}

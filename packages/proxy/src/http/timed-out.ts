import { endDoubt } from "./attempt.ts";
import { type Conversation, EXCHANGING, IDLE, READING_HEAD } from "./conversation.ts";
import { closeGently, cutOff, fail, failBy } from "./finish.ts";
import { waitedTooLong } from "./waiting.ts";

/** The conversation's one timeout is over: what that means is its phase's. */
export function timedOut(conversation: Conversation): void {
  const { wire, upstream, service, requestBody } = conversation;
  if (conversation.phase === IDLE) {
    closeGently(conversation);
    return;
  }
  if (conversation.phase === READING_HEAD) {
    fail(conversation, 408, `no complete request head within ${service.spec.timeouts.clientHeadMs} ms`);
    return;
  }
  if (conversation.waiter !== undefined) {
    waitedTooLong(conversation);
    return;
  }
  if (conversation.phase !== EXCHANGING || upstream === undefined) {
    wire.destroy();
    return;
  }
  if (conversation.doubtful) {
    endDoubt(conversation, upstream);
    return;
  }
  // The client does not read what it asked for.
  if (wire.needsDrain) {
    cutOff(conversation);
    return;
  }
  if (!requestBody.done && !upstream.wire.needsDrain) {
    fail(conversation, 408, "the request's body stopped coming");
    return;
  }
  // What has answered may have nothing more to say, such as a stream of events.
  if (conversation.headSent) {
    cutOff(conversation);
    return;
  }
  failBy(conversation, upstream.backend, 504, `did not answer within ${service.spec.timeouts.serverMs} ms`);
}

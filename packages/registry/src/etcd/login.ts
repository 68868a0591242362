import { InterceptingCall, type Interceptor, status } from "@grpc/grpc-js";

export interface Login {
  /** Puts the token on every call of a client. */
  readonly interceptor: Interceptor;
  /** Runs a call, logging in before it when there is no token, and once more when etcd refuses the one there is. */
  run<T>(call: () => Promise<T>): Promise<T>;
}

/** What replaces etcd's words for a refused token: etcd3 repeats a call without end when it reads those. */
const TOKEN_REFUSED = "etcd refused the token";
// etcd's rpctypes: an expired or unknown token, and one from before a change of users or roles.
const REFUSALS = ["etcdserver: invalid auth token", "etcdserver: revision of auth store is old"];
const AUTHENTICATE = "/etcdserverpb.Auth/Authenticate";

/**
 * Logs in by user and password, and again whenever a token ran out. etcd3's own way opens a connection for each login
 * that it never closes, without the client's options, and knows nothing of a changed auth store.
 */
export function login(authenticate: () => Promise<string>): Login {
  let token: Promise<string> | undefined;
  let present: string | undefined;

  const ready = async (): Promise<void> => {
    token ??= authenticate();
    const asked = token;
    try {
      present = await asked;
    } catch (error) {
      if (token === asked) token = undefined;
      throw error;
    }
  };
  const forget = (used: Promise<string> | undefined): void => {
    // Of several calls refused together, the first one logs in for all.
    if (token === used) token = undefined;
  };

  return {
    interceptor: (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start(metadata, _listener, next) {
          if (present !== undefined && options.method_definition.path !== AUTHENTICATE) metadata.set("token", present);
          next(metadata, {
            onReceiveStatus: (received, deliver) =>
              deliver(
                isRefusal(received) ? { ...received, code: status.UNAUTHENTICATED, details: TOKEN_REFUSED } : received,
              ),
          });
        },
      }),
    async run(call) {
      await ready();
      const used = token;
      try {
        return await call();
      } catch (error) {
        if (!String(error).includes(TOKEN_REFUSED)) throw error;
        // A refused token is no failure of the call, which etcd did not look at.
        forget(used);
        await ready();
        return call();
      }
    },
  };
}

function isRefusal({ details }: { readonly details: string }): boolean {
  return REFUSALS.some((words) => details.includes(words));
}

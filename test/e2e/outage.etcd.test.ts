import { etcdRead } from "../support/etcd.ts";
import { outageSuite } from "./outage.suite.ts";

outageSuite("etcd", async (endpoint) => [...(await etcdRead(endpoint, "/smartstack/services/web/")).keys()]);

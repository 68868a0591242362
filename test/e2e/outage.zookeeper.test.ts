import { zookeeperRead } from "../support/zookeeper.ts";
import { outageSuite } from "./outage.suite.ts";

outageSuite("zookeeper", async (endpoint) => [...(await zookeeperRead(endpoint, "/smartstack/services/web")).keys()]);

import { nerveScenarios } from "./nerve.suite.ts";

nerveScenarios("zookeeper");

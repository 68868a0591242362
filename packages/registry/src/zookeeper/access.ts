import zookeeper, { type ACL } from "node-zookeeper-client";

/** Who may do what with the nodes we make: `open` everybody all, `read` everybody reads, `private` our user alone. */
export type Access = "open" | "read" | "private";

/** The access control list of new nodes. What is not open needs a user, whom the server takes from the session. */
export function aclOf(access: Access): ACL[] {
  const { ACL, Id, Permission } = zookeeper;
  const anyone = (permissions: number): ACL => new ACL(permissions, new Id("world", "anyone"));
  if (access === "open") return [anyone(Permission.ALL)];
  const ours = new ACL(Permission.ALL, new Id("auth", ""));
  return access === "read" ? [ours, anyone(Permission.READ)] : [ours];
}

/**
 * How many tests passed and failed, by Vitest's JSON report and its exit code. What failed outside a test, such as a
 * file that cannot be loaded or an error that nobody caught, counts too: a run that did not succeed has a failure.
 */
export function totalsOf(report, exitCode) {
  const files = report?.testResults ?? [];
  const loose = files.filter(
    (file) => file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = (report?.numFailedTests ?? 0) + loose;
  return { passed: report?.numPassedTests ?? 0, failed: exitCode === 0 ? failed : Math.max(1, failed) };
}

/** A line or two for each failed test and each file that failed outside its tests: its name, and how its message begins. */
export function failuresOf(report) {
  return (report?.testResults ?? []).flatMap((file) => {
    const tests = file.assertionResults.filter((test) => test.status === "failed");
    if (tests.length > 0) return tests.map((test) => told(`${file.name}: ${test.fullName}`, test.failureMessages?.[0]));
    return file.status === "failed" ? [told(file.name, file.message)] : [];
  });
}

const MESSAGE_LINES_MAX = 12;

function told(name, message = "") {
  const lines = message.split("\n").slice(0, MESSAGE_LINES_MAX);
  return [name, ...lines.map((line) => `    ${line}`)].join("\n");
}

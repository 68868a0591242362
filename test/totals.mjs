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

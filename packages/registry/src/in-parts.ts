/** Does the same with each, so many at once at most. @throws what the first failing one throws. */
export async function inParts<T>(
  items: readonly T[],
  atOnceMax: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  for (let from = 0; from < items.length; from += atOnceMax)
    await Promise.all(items.slice(from, from + atOnceMax).map(work));
}

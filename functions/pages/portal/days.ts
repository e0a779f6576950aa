/** The last `count` days in UTC as `YYYY-MM-DD`, oldest first, today included. */
export function lastDays(count: number, nowMs = Date.now()): string[] {
  const day = (at: number) => new Date(nowMs - at * 86_400_000).toISOString().slice(0, 10)
  return Array.from({ length: count }, (_, at) => day(count - 1 - at))
}

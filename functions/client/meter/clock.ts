import type { Clock } from './spender.ts'

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(ms, work, keepsAlive) {
    const timer: unknown = setTimeout(work, ms)
    // A Node timer keeps the process alive unless it is told not to; timers of browsers and Workers are numbers.
    const canUnref = typeof timer === 'object' && timer !== null && 'unref' in timer
    if (canUnref && !keepsAlive) (timer as { unref(): void }).unref()
    return () => clearTimeout(timer as ReturnType<typeof setTimeout>)
  },
}

/** A UUIDv7 (RFC 9562) of a moment. Ids that are ordered by time cost Bursar half of what others do. */
export function uuidV7(atMs: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const time = Math.floor(atMs).toString(16).padStart(12, '0')
  const variant = '89ab'[(bytes[8] ?? 0) & 3]
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`
}

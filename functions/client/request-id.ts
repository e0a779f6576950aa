/**
 * A UUIDv7 of now, such as `019aa6d2-…`. Bursar proves by its time that a new id is new, so a spend under such an id
 * costs half of what it costs under another one.
 */
export function newRequestId(nowMs = Date.now()): string {
  const random = crypto.getRandomValues(new Uint8Array(10))
  random[0] = ((random[0] ?? 0) & 0x0f) | 0x70
  random[2] = ((random[2] ?? 0) & 0x3f) | 0x80
  const time = nowMs.toString(16).padStart(12, '0')
  const hex = time + Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The position in a list by time, of something with an id (UUID): `<epoch ms>.<id>`. */
export const TIME_CURSOR = /^(?:0|[1-9]\d{0,13})\.[0-9a-f-]{36}$/

export const cursorOf = ({ atMs, id }: { atMs: number; id: string }): string => `${atMs}.${id}`

/** @param cursor as `cursorOf` makes it */
export function positionOf(cursor: string): { atMs: number; id: string } {
  const [atMs = '', id = ''] = cursor.split('.')
  return { atMs: Number(atMs), id }
}

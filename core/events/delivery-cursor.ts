/** The position of a delivery in a list: when its event happened, and the event's id. */
export const DELIVERY_CURSOR = /^\d{1,14}\.[0-9a-f-]{36}$/

/** @param cursor of the form `DELIVERY_CURSOR` */
export function deliveryAt(cursor: string): { atMs: number; eventId: string } {
  const [atMs = '', eventId = ''] = cursor.split('.')
  return { atMs: Number(atMs), eventId }
}

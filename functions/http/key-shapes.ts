import type { ListedKey, ShownKey } from '../../core/keys/application-keys.ts'
import { isoTime } from './time-shapes.ts'

/** An application key in a list. */
export const listedKey = ({ id, name, prefix, last4, createdAtMs }: ListedKey) => ({
  id,
  name,
  prefix,
  last4,
  createdAt: isoTime(createdAtMs),
})

/** An application key that was just made, with the whole key. */
export const shownKey = (key: ShownKey) => ({
  ...listedKey(key),
  key: key.key,
  ...(key.replayed && { replayed: true as const }),
})

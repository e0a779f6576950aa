import type { ListedPasskey } from '../../core/credentials/passkeys.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

/** A passkey as its owner sees it. */
export const listedPasskey = ({ createdAtMs, lastUsedAtMs, ...passkey }: ListedPasskey) => ({
  ...passkey,
  createdAt: isoTime(createdAtMs),
  lastUsedAt: timeOrNull(lastUsedAtMs),
})

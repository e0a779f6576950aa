import { parseProfile } from '../../core/account/account.ts'
import type { Item, Write } from '../../core/table/table.ts'

/** The state of auto-renewal as its owner sees it. Each retry may have another reason, which changes nothing. */
export function visibleState(item: Item | undefined): string {
  if (!item) return 'off'
  const { flags, bundle, renewal } = parseProfile(item)
  if (!flags.bundleAutoRenewal || bundle === undefined) return 'off'
  if (!renewal) return 'on'
  return renewal.state === 'retrying' ? 'retrying' : `${renewal.state} (${renewal.reason})`
}

const isProfile = (key: { sk?: unknown }): boolean => key.sk === '#PROFILE'
/** The key of the item that a write changes or checks. */
export const keyOf = (write: Write): { pk?: unknown; sk?: unknown } =>
  'put' in write
    ? write.put
    : 'update' in write
      ? write.update
      : 'remove' in write
        ? write.remove
        : write.check

/**
 * Watches the writes of a table in memory, each of which is atomic. A change of auto-renewal must tell its
 * owner, once, by a notice and a mail of the same transaction. Code that is not written yet is held to it as
 * well.
 * @param mistakes gets a line for each silent change.
 */
export const watchRenewal =
  (mistakes: string[]) =>
  (writes: readonly Write[], items: () => Item[], apply: () => void): void => {
    const profile = () => items().find(isProfile)
    const before = profile()
    const from = visibleState(before)
    apply()
    // The profile of a world that begins has no history.
    if (!before || !writes.some((write) => isProfile(keyOf(write)))) return
    const to = visibleState(profile())
    const put = (prefix: string) =>
      writes.filter((write) => 'put' in write && String(write.put.sk).startsWith(prefix)).length
    const told = [put('NOTICE#'), put('MAIL#')]
    if (from !== to && told.join() !== '1,1')
      mistakes.push(`renewal: ${from} became ${to} with ${told.join(' notices and ')} mails`)
  }

import { emailKey } from '../account/fields.ts'

/**
 * Names the mailbox behind an address, for limits alone: many providers ignore dots and what follows a plus. The
 * forms with a plus have a limit of their own, so that nobody uses up the limit of the plain address with them.
 */
export function mailboxOf(address: string): string {
  const key = emailKey(address)
  const at = key.lastIndexOf('@')
  const [name = '', ...tags] = key.slice(0, at).replaceAll('.', '').split('+')
  const domain = key.slice(at + 1).replace(/^googlemail\.com$/, 'gmail.com')
  return `${name}${tags.length > 0 ? '+' : ''}@${domain}`
}

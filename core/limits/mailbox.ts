import { emailKey } from '../account/fields.ts'
import type { Deps } from '../ports.ts'

/**
 * Names the mailbox behind an address, for limits alone: many providers ignore dots and what follows a plus. Where they
 * do not, two mailboxes share a limit.
 */
export function mailboxOf(address: string): string {
  const { name, domain } = partsOf(address)
  return `${name.split('+')[0]?.replaceAll('.', '')}@${domain}`
}

/**
 * Whether an address is one of many for its mailbox: it has a tag, or dots where they are known to mean nothing.
 * Such addresses never use up a limit of their mailbox, so that a stranger who makes them up by the dozen keeps the
 * owner of the plain address from nothing.
 */
export function isVariant(address: string): boolean {
  const { name, domain } = partsOf(address)
  return name.includes('+') || (domain === 'gmail.com' && name.includes('.'))
}

function partsOf(address: string): { name: string; domain: string } {
  const key = emailKey(address)
  const at = key.lastIndexOf('@')
  return { name: key.slice(0, at), domain: key.slice(at + 1).replace(/^googlemail\.com$/, 'gmail.com') }
}

/**
 * Names the mailbox behind an address whose owner has confirmed it, by a MAC: the name by the root secret in use, and those
 * by the other live ones.
 */
export function provedMailboxesOf(deps: Deps<'keyring'>, address: string): [string, ...string[]] {
  const [inUse, ...others] = deps.keyring.macs('mac:mailbox', mailboxOf(address))
  // Short, because each byte of a profile counts.
  const name = (mac: Buffer) => mac.toString('base64url').slice(0, 16)
  return [name(inUse), ...others.map(name)]
}

import type { Deps } from './ports.ts'
import type { MacPurpose, SealPurpose } from './purposes.ts'

/*
 * While the root secret rotates, two are live. What is stored of a request, so that its repeat is recognised, is a MAC as
 * text, and the repeat may come when another secret is in use. What is sealed for long is sealed again.
 */

/** The texts of the MACs of these parts, 22 characters each, that of the secret in use first. */
export function macTexts(
  deps: Deps<'keyring'>,
  purpose: MacPurpose,
  ...parts: string[]
): [string, ...string[]] {
  const [first, ...others] = deps.keyring.macs(purpose, ...parts)
  const text = (mac: Buffer) => mac.toString('base64url').slice(0, 22)
  return [text(first), ...others.map(text)]
}

/** The text that was stored, if it is one of these; otherwise the one to store. */
export const storedOrNew = (stored: string | undefined, texts: readonly [string, ...string[]]): string =>
  texts.find((text) => text === stored) ?? texts[0]

/** A sealed text, sealed with the root secret in use; undefined if it is already, or if its secret is not live any more. */
export function resealed(
  { keyring }: Deps<'keyring'>,
  purpose: SealPurpose,
  context: string,
  sealed: string,
): string | undefined {
  if (sealed.startsWith(keyring.versions[0])) return undefined
  const plaintext = keyring.open(purpose, context, sealed)
  return plaintext === undefined ? undefined : keyring.seal(purpose, context, plaintext)
}

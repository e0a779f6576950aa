import { createHash, timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'
import type { MacPurpose } from '../purposes.ts'

/**
 * The check at the end of a key or another credential: 16 hex digits, of which the first four are the version of the root
 * secret and the others a MAC over all that comes before. So a text that Bursar never made is refused without any call.
 *
 * A text of a version that is not live any more may be anything, and only the table knows: keys outlive the secret with
 * which they were made, also one that was lost. Whoever makes such texts up costs a read each.
 */
const CHECK_DIGITS = 16
const VERSION_DIGITS = 4

/** @param text all of the credential but its check. */
export const withCheck = (deps: Deps<'keyring'>, purpose: MacPurpose, text: string): string =>
  text + deps.keyring.versions[0] + checkDigits(deps.keyring.mac(purpose, text))

/** `unknown` if the version is not live: then Bursar may have made the text. */
export type CheckResult = 'right' | 'wrong' | 'unknown'

/**
 * Whether Bursar has made the text. Calls nothing.
 * @param text ends in 16 hex digits: the caller has looked at its form
 */
export function checkOf({ keyring }: Deps<'keyring'>, purpose: MacPurpose, text: string): CheckResult {
  const check = text.slice(-CHECK_DIGITS)
  const mac = keyring.macBy(check.slice(0, VERSION_DIGITS), purpose, text.slice(0, -CHECK_DIGITS))
  if (!mac) return 'unknown'
  const isRight = timingSafeEqual(Buffer.from(checkDigits(mac)), Buffer.from(check.slice(VERSION_DIGITS)))
  return isRight ? 'right' : 'wrong'
}

const checkDigits = (mac: Buffer): string => mac.toString('hex').slice(0, CHECK_DIGITS - VERSION_DIGITS)

/** What is stored of a key or credential: SHA-256 without a secret, because its text has 122 random bits or more. */
export const textHash = (purpose: string, text: string): Buffer =>
  createHash('sha256').update(`bursar:${purpose}:${text}`).digest()

import type { Deps } from '../ports.ts'
import { type CheckResult, checkOf, textHash, withCheck } from './text-check.ts'

/**
 * The text of a credential that a program of the company has: `<prefix>_<secret>_<check>`, where the secret is 256 random
 * bits in hex and the check that of `text-check.ts`. A credential that Bursar never made is refused without any call.
 */
const CREDENTIAL = /^([a-z]{3})_[0-9a-f]{64}_[0-9a-f]{16}$/

/** What tells the texts of one kind of credential from those of another. */
export interface CredentialText {
  /** Three letters. */
  prefix: string
  /** Begins what its hash is over. */
  purpose: string
}

/** Whether a text is meant as a credential of a kind. Whether it is one, `credentialCheck` says. */
export const looksLike = ({ prefix }: CredentialText, text: string): boolean => text.startsWith(`${prefix}_`)

const CHECK = 'mac:credential-check'

export const newCredential = (deps: Deps<'keyring'>, { prefix }: CredentialText): string =>
  withCheck(deps, CHECK, `${prefix}_${deps.ids.hex(32)}_`)

/** Whether Bursar has made the credential, as far as its text tells. Calls nothing. */
export const credentialCheck = (
  deps: Deps<'keyring'>,
  { prefix }: CredentialText,
  credential: string,
): CheckResult => (CREDENTIAL.exec(credential)?.[1] === prefix ? checkOf(deps, CHECK, credential) : 'wrong')

/** What is stored of a credential: a hash without a secret, because a credential has 256 random bits. */
export const credentialHash = ({ purpose }: CredentialText, credential: string): string =>
  textHash(`${purpose}-hash`, credential).toString('hex')

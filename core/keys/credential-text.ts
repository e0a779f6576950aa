import { timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'

/**
 * The text of a credential that a program of the company has: `<prefix>_<secret>_<check>`, where the secret is 256 random
 * bits in hex and the check 16 hex digits of a MAC over everything before it. A credential that Bursar never made is
 * refused without any call.
 */
const CREDENTIAL = /^([a-z]{3})(_[0-9a-f]{64}_)([0-9a-f]{16})$/

/** What tells the texts of one kind of credential from those of another. */
export interface CredentialText {
  /** Three letters. */
  prefix: string
  /** Begins the purposes of its MACs. */
  purpose: string
}

/** Whether a text is meant as a credential of a kind. Whether it is one, `isCredential` says. */
export const looksLike = ({ prefix }: CredentialText, text: string): boolean => text.startsWith(`${prefix}_`)

export function newCredential(deps: Deps<'keyring'>, kind: CredentialText): string {
  const text = `${kind.prefix}_${deps.ids.hex(32)}_`
  return text + check(deps, kind, text)
}

/** Whether Bursar has made the credential. Calls nothing. */
export function isCredential(deps: Deps<'keyring'>, kind: CredentialText, credential: string): boolean {
  const [, prefix = '', rest = '', given = ''] = CREDENTIAL.exec(credential) ?? []
  const expected = check(deps, kind, prefix + rest)
  return prefix === kind.prefix && timingSafeEqual(Buffer.from(expected), Buffer.from(given))
}

const check = (deps: Deps<'keyring'>, { purpose }: CredentialText, text: string): string =>
  deps.keyring.mac(`${purpose}-check`, text).toString('hex').slice(0, 16)

/** What is stored of a credential. The hash cannot be reversed, nor checked without the deployment's secret. */
export const credentialHash = (
  deps: Deps<'keyring'>,
  { purpose }: CredentialText,
  credential: string,
): string => deps.keyring.mac(`${purpose}-hash`, credential).toString('hex')

import * as z from 'zod/mini'
import { secondFactorCode, TYPED_CODE_LENGTH } from '../credentials/typed-codes.ts'
import { asciiDomain } from './email-domain.ts'
import { isVisibleText } from './visible-text.ts'

/** 3 to 32 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. ASCII excludes look-alike letters. */
export const username = z
  .string()
  .check(
    z.regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$/,
      'must be 3 to 32 of A-Z a-z 0-9 . _ - and start with a letter or digit',
    ),
  )

/**
 * Letters, marks and digits of any script with RFC 5322's atom symbols before the `@`. Control characters, spaces,
 * lone surrogates and invisible characters (zero width, direction, fillers) are refused.
 */
const emailSyntax =
  /^(?!.*\p{DI}.*@)(?=.{1,64}@)[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*@[^@\s]+$/u

/** The most characters of an address, in the form in which mail goes there (RFC 5321, 4.5.3.1.3). */
const EMAIL_MAX = 254

/** The part of an address up to its last `@`, and its domain. */
function splitEmail(address: string): [local: string, domain: string] {
  const at = address.lastIndexOf('@') + 1
  return [address.slice(0, at), address.slice(at)]
}

function hasMailDomain(address: string): boolean {
  const [local, domain] = splitEmail(address)
  const ascii = asciiDomain(domain)
  return ascii !== undefined && local.length + ascii.length <= EMAIL_MAX
}

export const email = z
  .string()
  .check(
    z.maxLength(EMAIL_MAX, { abort: true }),
    z.regex(emailSyntax, { error: 'must be an e-mail address', abort: true }),
    z.refine(hasMailDomain, 'must be an e-mail address with a valid domain'),
  )

/** Whether mail can be sent to an address: SES takes only ASCII before the @. */
export const isMailable = (address: string): boolean => !/[^\x20-\x7e].*@/u.test(address)

export const UNMAILABLE =
  'must have no accents or other scripts before the @, because no mail can be sent there'

/** An address that an account gets. Accounts that were imported may have another one, and sign in with it. */
export const newEmail = email.check(z.refine(isMailable, UNMAILABLE))

/**
 * The most UTF-16 units of a password before it is normalised: NFC composes at most four units into one. Longer
 * text is too long in any form, and normalising it could take long.
 */
const PASSWORD_TYPED_MAX = 512

/**
 * The form in which a password is set and compared, OpaqueString of RFC 8265: NFC, with every space as U+0020. So
 * ä is one password, whether the keyboard sends one character or two. NFKC would make one password of several that
 * look different, such as ﬁ and fi.
 */
const opaqueString = (text: string): string =>
  text.length > PASSWORD_TYPED_MAX ? text : text.replace(/\p{Zs}/gu, ' ').normalize('NFC')

/** What a password needs (GreenCloud: min=8, containsany): its length in characters, and one of the symbols. */
export const passwordRule = { minLength: 8, maxLength: 128, symbols: '!@#$%&*' }

/**
 * A password by the rule. Control characters, line breaks of Unicode and spaces at either end are refused, because Cognito
 * refuses them, and it gets the password only once the address is confirmed. Every check is of the normalised password.
 */
export const password = z
  .string()
  .check(
    z.overwrite(opaqueString),
    z.minLength(passwordRule.minLength),
    z.maxLength(passwordRule.maxLength),
    z.regex(
      new RegExp(`[${passwordRule.symbols}]`),
      `must have one of ${[...passwordRule.symbols].join(' ')}`,
    ),
    z.regex(
      /^(?!\s)[^\p{Cc}\p{Cs}\u2028\u2029]*(?<!\s)$/u,
      'must not begin or end with a space or have control characters',
    ),
  )

/** A password that a user types to prove an identity. Every password that could ever have been set passes. */
export const typedPassword = z
  .string()
  .check(
    z.overwrite(opaqueString),
    z.minLength(1),
    z.maxLength(128),
    z.regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not have control characters'),
  )

/**
 * The form in which e-mail addresses are compared: NFC and lower case before the `@`, and the domain as DNS has it.
 * So `ada@bücher.example` is `ada@xn--bcher-kva.example`, which browsers send.
 */
export function emailKey(address: string): string {
  const [local, domain] = splitEmail(address)
  return lowered(local) + (asciiDomain(domain) ?? lowered(domain))
}

const lowered = (text: string): string => text.normalize('NFC').toLowerCase().normalize('NFC')

/** The form in which usernames are compared. */
export const usernameKey = (name: string): string => name.toLowerCase()

/** A full name: 1 to 100 characters that show something; of invisible ones only those that its script needs. */
export const fullName = z
  .string()
  .check(
    z.maxLength(100, { abort: true }),
    z.refine(isVisibleText, 'must have 1 to 100 characters and no control characters'),
  )

/** A given name or a surname; together with a space between them they are a full name. */
export const partOfName = z
  .string()
  .check(
    z.maxLength(49, { abort: true }),
    z.refine(isVisibleText, 'must have 1 to 49 characters and no control characters'),
  )

const isSecondFactor = (code: string) => /^([0-9]{6}|[0-9a-z]{10})$/.test(code)

/** A code of an authenticator app, or a recovery code, in the form in which it is checked. */
export const twofa = z
  .string()
  .check(
    z.maxLength(TYPED_CODE_LENGTH, { abort: true }),
    z.overwrite(secondFactorCode),
    z.refine(isSecondFactor, 'must be a 6-digit code or a recovery code'),
  )

/** A name that a user gives to something, such as an application key. */
export const label = fullName

import * as z from 'zod/mini'

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
 * An address of letters, marks and digits of any script with RFC 5322's atom symbols before the `@`, and
 * dotted labels after it. Control characters, spaces, lone surrogates and invisible characters (zero width,
 * direction, fillers) are refused.
 */
const emailSyntax =
  /^(?!.*\p{DI})(?=.{1,64}@)[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{M}\p{N}!#$%&'*+/=?^_`{|}~-]+)*@(?:[\p{L}\p{N}](?:[\p{L}\p{M}\p{N}-]{0,61}[\p{L}\p{M}\p{N}])?\.)+(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{1,59})$/iu
export const email = z.string().check(z.maxLength(254), z.regex(emailSyntax, 'must be an e-mail address'))

/**
 * 8 to 128 characters with at least one of `!@#$%&*` (GreenCloud: min=8, containsany). Control characters and
 * spaces at either end are refused, because Cognito refuses them.
 */
export const password = z
  .string()
  .check(
    z.minLength(8),
    z.maxLength(128),
    z.regex(/[!@#$%&*]/, 'must have one of ! @ # $ % & *'),
    z.regex(
      /^(?!\s)[^\p{Cc}\p{Cs}]*(?<!\s)$/u,
      'must not begin or end with a space or have control characters',
    ),
  )

/** A password that a user types to prove an identity. Every password that could ever have been set passes. */
export const typedPassword = z
  .string()
  .check(z.minLength(1), z.maxLength(128), z.regex(/^[^\p{Cc}\p{Cs}]*$/u, 'must not have control characters'))

/** The form in which e-mail addresses are compared: NFC and lower case. */
export const emailKey = (address: string): string => address.normalize('NFC').toLowerCase().normalize('NFC')

/** The form in which usernames are compared. */
export const usernameKey = (name: string): string => name.toLowerCase()

/** A full name: 1 to 100 characters, without control or invisible characters, and not only spaces. */
export const fullName = z
  .string()
  .check(
    z.maxLength(100),
    z.regex(
      /^(?=.*\S)[^\p{Cc}\p{Cf}\p{Cs}\p{DI}]+$/u,
      'must have 1 to 100 characters and no control characters',
    ),
  )

/** A code of an authenticator app, or a recovery code. */
export const twofa = z
  .string()
  .check(z.regex(/^(\d{6}|[0-9a-zA-Z]{5}-?[0-9a-zA-Z]{5})$/, 'must be a 6-digit code or a recovery code'))

/** A name that a user gives to something, such as an application key. */
export const label = fullName

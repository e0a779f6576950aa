import { asciiDomain } from '../account/email-domain.ts'

/** Who mails come from: an address that SES takes, and the name that people see. */
export interface Sender {
  name: string | undefined
  /** In ASCII: the domain in lower case and Punycode. */
  address: string
}

/** Longest display name, in characters, so that the header stays far below what mail servers take. */
const NAME_LENGTH = 100

/** Control characters, line and paragraph separators, and halves of characters. */
export const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u

/** Atoms with dots between (RFC 5322), up to 64 characters. */
const LOCAL_PART = /^(?=.{1,64}$)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/

/**
 * Reads a sender as people write it: `a@b.io`, `<a@b.io>`, `Name <a@b.io>`, `"Name, Inc." <a@b.io>`, or with an
 * encoded name (RFC 2047). What comes before the `<` is the name, with or without quotes, whatever its characters.
 * @throws Error with the end of a sentence that says what to write instead
 */
export function readSender(text: string): Sender {
  if (UNPRINTABLE.test(text))
    throw new Error('has a line break or a control character. Write it on one line.')
  const [, before, bracketed] = /^(.*)<([^<>]*)>$/u.exec(text.trim()) ?? []
  const name = plainName((before ?? '').trim()).normalize('NFC')
  if (UNPRINTABLE.test(name))
    throw new Error('has a line break or a control character in its name. Leave it out.')
  if ([...name].length > NAME_LENGTH)
    throw new Error(`has a name of more than ${NAME_LENGTH} characters. Shorten it.`)
  const address = mailAddress((bracketed ?? text).trim())
  if (address === undefined)
    throw new Error(
      'has no valid e-mail address. Set one, such as ops@your.domain or "Name <no-reply@your.domain>", with only letters a-z, digits and symbols before the @.',
    )
  return { name: name === '' ? undefined : name, address }
}

/** The address with its domain in ASCII; undefined unless SES takes it: one address, and no quotes in it. */
export function mailAddress(text: string): string | undefined {
  const at = text.lastIndexOf('@')
  const localPart = text.slice(0, Math.max(at, 0))
  const domain = asciiDomain(text.slice(at + 1))
  return LOCAL_PART.test(localPart) && domain !== undefined ? `${localPart}@${domain}` : undefined
}

/** The name without quotes (RFC 5322) or encoding (RFC 2047). Anything else is the name as it stands. */
function plainName(text: string): string {
  const [, quoted] = /^"((?:[^"\\]|\\.)*)"$/u.exec(text) ?? []
  if (quoted !== undefined) return quoted.replace(/\\(.)/gu, '$1').trim()
  if (!/^=\?[^?\s]+\?[bq]\?[^?\s]*\?=(?:\s+=\?[^?\s]+\?[bq]\?[^?\s]*\?=)*$/iu.test(text)) return text
  const words = text.split(/\s+/u).map((word) => word.slice(2, -2).split('?'))
  const [charset = ''] = words[0] ?? []
  const bytes = words.flatMap(([, encoding = '', encoded = '']) => [...wordBytes(encoding, encoded)])
  try {
    return new TextDecoder(charset, { fatal: true }).decode(Uint8Array.from(bytes)).trim()
  } catch {
    throw new Error('has a name in an encoding that is not known. Write it as it is.')
  }
}

function wordBytes(encoding: string, encoded: string): Uint8Array {
  if (encoding.toLowerCase() === 'b') return Buffer.from(encoded, 'base64')
  const text = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/giu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(text, 'latin1')
}

/** Bytes of one encoded word: 75 characters (RFC 2047), without `=?UTF-8?B?` and `?=`, in base64. */
const WORD_BYTES = 45

/** The sender as a header takes it: the name in quotes, or encoded if it has letters beyond ASCII. */
export function senderHeader({ name, address }: Sender): string {
  if (name === undefined) return address
  const phrase = /^[\x20-\x7e]+$/.test(name)
    ? /^[A-Za-z0-9 -]+$/.test(name)
      ? name
      : `"${name.replace(/["\\]/g, '\\$&')}"`
    : encodedWords(name).join(' ')
  return `${phrase} <${address}>`
}

/** The name in words of base64. No character is split between two words. */
function encodedWords(name: string): string[] {
  const words = ['']
  for (const character of name) {
    const last = words.length - 1
    const longer = `${words[last]}${character}`
    if (Buffer.byteLength(longer) > WORD_BYTES) words.push(character)
    else words[last] = longer
  }
  return words.map((word) => `=?UTF-8?B?${Buffer.from(word).toString('base64')}?=`)
}

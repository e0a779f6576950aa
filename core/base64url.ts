/**
 * The bytes of a text in base64url, for texts from outside. Each has one spelling: Node also takes padding, stray
 * characters, the letters of plain base64, and any value in the bits of the last character that no byte needs, so that a
 * token had sixteen.
 * @returns undefined for every other spelling
 */
export function bytesOfBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** The text whose UTF-8 is spelled so in base64url; undefined for every other spelling, and for bytes that are no UTF-8. */
export function textOfBase64url(spelled: string): string | undefined {
  const text = bytesOfBase64url(spelled)?.toString()
  return text !== undefined && Buffer.from(text).toString('base64url') === spelled ? text : undefined
}

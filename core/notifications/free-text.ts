/** Everything that may join letters to a link, in any script: dots, colons, slashes, at signs and their look-alikes. */
const JOINTS = /(?:(?!\p{Join_Control})[^\p{L}\p{M}\p{N}\p{Extended_Pictographic} _'’(),&+#-])+/gu

/** Seven digits or more, with what people write between the digits of a telephone number. */
const LONG_NUMBER = /\p{N}(?:[ ()+-]*\p{N}){6,}/gu

/**
 * Text that somebody else chose, as mails may show it: no mail client makes a link, an address or a telephone number
 * of it. Dots and the like become a middle dot, which belongs to no address and no number. Invisible characters would
 * not do: programs that look for telephone numbers skip them, and filters take them for a trick of phishers.
 */
export const unlinkedText = (text: string): string =>
  text
    .normalize('NFKC')
    .replace(JOINTS, '·')
    .replace(LONG_NUMBER, (number) => number.replace(/[ ()+-]+/g, '·').replace(/\p{N}{3}(?=\p{N})/gu, '$&·'))

/** The text in quotation marks, so that nobody takes it for our words. */
export const quotedText = (text: string): string => `“${unlinkedText(text)}”`

import type { Code } from './page.ts'

/** What a reader writes in the place of a text, such as `<api>` or `pk_live_…`. */
export type Fills = Readonly<Record<string, string>>

/** What every reader of the steps has, whatever the deployment answers. */
export const FILLS: Fills = {
  'pk_live_…': 'pk_live_51NotReal',
  '0x4AAA…': '0x4AAAAAAANotReal',
  'arn:aws:acm:us-east-1:…': 'arn:aws:acm:us-east-1:123456789012:certificate/0193c0ff-ee00',
  'arn:aws:wafv2:us-east-1:…': 'arn:aws:wafv2:us-east-1:123456789012:global/webacl/acme/0193c0ff-ee01',
  '<stage>': 'production',
  '<function>': 'jobs-note-mail-event',
  '--email-address ADDRESS': '--email-address ada@mail.acme.io',
}

/**
 * Puts in what a reader has to fill in.
 * @throws Error if the page asks for something else
 */
export function filled({ text }: Pick<Code, 'text'>, fills: Fills): string {
  const done = Object.entries(fills).reduce((before, [from, to]) => before.replaceAll(from, to), text)
  const [left] = done.replace(/(^|\s)#.*$/gm, '').match(/\S*…\S*|<[a-z][a-z ]*>/) ?? []
  if (left !== undefined) throw new Error(`test/docs/fills.ts does not say what a reader puts in for ${left}`)
  return done
}

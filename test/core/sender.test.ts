import { expect, test } from 'vitest'
import { readSender, senderHeader } from '../../core/notifications/sender.ts'

const headerOf = (text: string) => senderHeader(readSender(text))

test.each([
  ['a@acme.io', 'a@acme.io'],
  ['<a@acme.io>', 'a@acme.io'],
  ['  Acme  <a@acme.io> ', 'Acme <a@acme.io>'],
  ['Acme<a@acme.io>', 'Acme <a@acme.io>'],
  ['Acme, Inc. <a@acme.io>', '"Acme, Inc." <a@acme.io>'],
  ['"Acme, Inc." <a@acme.io>', '"Acme, Inc." <a@acme.io>'],
  ['"" <a@acme.io>', 'a@acme.io'],
  ['The "Best" Inc <a@acme.io>', '"The \\"Best\\" Inc" <a@acme.io>'],
  ['"The \\"Best\\" Inc" <a@acme.io>', '"The \\"Best\\" Inc" <a@acme.io>'],
  ['"Acme" Inc <a@acme.io>', '"\\"Acme\\" Inc" <a@acme.io>'],
  ['C:\\Acme <a@acme.io>', '"C:\\\\Acme" <a@acme.io>'],
  ['Acme (UK) <a@acme.io>', '"Acme (UK)" <a@acme.io>'],
  ['support@acme.io <a@acme.io>', '"support@acme.io" <a@acme.io>'],
  ['A <b> c <a@acme.io>', '"A <b> c" <a@acme.io>'],
  ['Bücher GmbH <a@acme.io>', '=?UTF-8?B?QsO8Y2hlciBHbWJI?= <a@acme.io>'],
  ['"Bücher, GmbH" <a@acme.io>', '=?UTF-8?B?QsO8Y2hlciwgR21iSA==?= <a@acme.io>'],
  ['=?UTF-8?B?QsO8Y2hlciBHbWJI?= <a@acme.io>', '=?UTF-8?B?QsO8Y2hlciBHbWJI?= <a@acme.io>'],
  ['=?ISO-8859-1?Q?B=FCcher_GmbH?= <a@acme.io>', '=?UTF-8?B?QsO8Y2hlciBHbWJI?= <a@acme.io>'],
  ['Acme <A.b+c@BÜCHER.Example>', 'Acme <A.b+c@xn--bcher-kva.example>'],
])('%s becomes %s, and stays so', (text, header) => {
  expect(headerOf(text)).toBe(header)
  expect(headerOf(header)).toBe(header)
})

test('a long name is encoded in words of at most 75 characters, none of which splits a character', () => {
  const name = `${'ä🚲本'.repeat(30)} ${'é'.repeat(9)}`
  const header = headerOf(`${name} <a@acme.io>`)
  const words = header.replace(' <a@acme.io>', '').split(' ')
  expect(words.length).toBeGreaterThan(1)
  for (const word of words) {
    expect(word.length).toBeLessThanOrEqual(75)
    expect(Buffer.from(word.slice(10, -2), 'base64').toString()).not.toContain('\ufffd')
  }
  expect(readSender(header)).toEqual({ name, address: 'a@acme.io' })
})

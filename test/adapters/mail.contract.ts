import { SESv2Client, SendEmailCommand, type SendEmailRequest } from '@aws-sdk/client-sesv2'
import { describe, expect, test } from 'vitest'
import { sesMail } from '../../core/adapters/ses.ts'
import { DomainError } from '../../core/errors.ts'

/**
 * The guarantees of `sesMail` on a service, SES or its double. The SDK finds the service by its environment
 * variables.
 * @param addresses `from` is a verified sender at the service; `to` accepts mail.
 */
export function mailContract(service: string, addresses: { from: string; to: string }): void {
  const { from, to } = addresses
  const email = { to, subject: 'Grüße', text: 'Ωμέγα 🚲', html: '<p>Ωμέγα 🚲</p>' }

  describe(`mail through ${service}`, () => {
    test('accepts a message in any script', async () => {
      await expect(sesMail({ from, appUrl: '', appName: 'Bursar' }).send(email)).resolves.toBeUndefined()
    })

    test.each([
      ['plain words', (address: string) => `Bursar <${address}>`],
      ['brackets alone', (address: string) => `<${address}>`],
      ['a comma', (address: string) => `Acme, Inc. <${address}>`],
      ['quotes and backslashes', (address: string) => `The "Best" \\ Inc <${address}>`],
      ['quotes around it', (address: string) => `"Acme, Inc." <${address}>`],
      ['every special character', (address: string) => `()<>[]:;@,."\\ <${address}>`],
      ['letters beyond ASCII', (address: string) => `Bücher GmbH 🚲 ${'本'.repeat(60)} <${address}>`],
    ])('accepts a sender whose name has %s', async (_, sender) => {
      const mail = sesMail({ from: sender(from), appUrl: '', appName: 'Bursar' })
      await expect(mail.send(email)).resolves.toBeUndefined()
    })

    test('accepts a message that is tagged with its account', async () => {
      const mail = sesMail({ from, appUrl: '', appName: 'Bursar' })
      await expect(mail.send({ ...email, accountId: '0'.repeat(24) })).resolves.toBeUndefined()
    })

    test.each(['nobody', 'no body@example.com', 'a@b@example.com', 'a@', '@example.com', 'ü@example.com'])(
      'refuses %j as a recipient permanently, without quoting it',
      async (address) => {
        const error = await sesMail({ from, appUrl: '', appName: 'Bursar' })
          .send({ ...email, to: address })
          .catch((thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(Error)
        expect(error).not.toBeInstanceOf(DomainError)
        expect((error as Error).cause).toBeUndefined()
        expect((error as Error).message).toBe('SES refused the message (BadRequestException).')
      },
    )

    const content = {
      Simple: { Subject: { Data: 'Hello' }, Body: { Text: { Data: 'Hello' } } },
    }
    const faulty: [string, SendEmailRequest][] = [
      ['sender', { Destination: { ToAddresses: [to] }, Content: content }],
      ['recipient', { FromEmailAddress: from, Destination: { ToAddresses: [] }, Content: content }],
      ['content', { FromEmailAddress: from, Destination: { ToAddresses: [to] }, Content: {} }],
    ]
    test.each(faulty)('refuses a request without a %s', async (_, request) => {
      const sending = new SESv2Client({}).send(new SendEmailCommand(request))
      await expect(sending).rejects.toMatchObject({
        name: 'BadRequestException',
        $metadata: { httpStatusCode: 400 },
      })
    })
  })
}

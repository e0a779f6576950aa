import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2'
import { asciiDomain } from '../account/email-domain.ts'
import { DomainError, rateLimited } from '../errors.ts'
import { readSender, senderHeader } from '../notifications/sender.ts'
import { ACCOUNT_TAG } from '../notifications/undeliverable.ts'
import type { Mail } from '../ports.ts'
import { awsClient } from './aws-clients.ts'

/** SES's errors about the message itself. A retry does not change them. */
const REFUSED = new Set(['MessageRejected', 'BadRequestException'])

/** SES's errors about too many mails in a second or a day. */
const TOO_FAST = new Set(['TooManyRequestsException', 'LimitExceededException', 'ThrottlingException'])

/**
 * Mail through SES. `from` is a verified address, with or without a display name, as people write it.
 * `configurationSet` is the set whose event destination gets the bounces and complaints.
 * @throws Error if SES refuses this message for good. The error names no address and has no cause, which
 *   could name one.
 * @throws DomainError `temporarily_unavailable` for every other failure: throttling, outage, time-out,
 *   sending paused.
 */
export function sesMail(config: {
  from: string
  appUrl: string
  appName: string
  configurationSet?: string
  client?: SESv2Client
}): Mail {
  const client = config.client ?? awsClient(SESv2Client)
  const from = senderHeader(readSender(config.from))
  const utf8 = (text: string) => ({ Data: text, Charset: 'UTF-8' })
  return {
    appUrl: config.appUrl,
    appName: config.appName,
    async send(email) {
      const { accountId } = email
      const command = new SendEmailCommand({
        FromEmailAddress: from,
        Destination: { ToAddresses: [withAsciiDomain(email.to)] },
        Content: {
          Simple: {
            Subject: utf8(email.subject),
            Body: { Text: utf8(email.text), Html: utf8(email.html) },
          },
        },
        ConfigurationSetName: config.configurationSet,
        // SES's events about the mail carry its tags, so that they find the account by its id.
        ...(accountId !== undefined && { EmailTags: [{ Name: ACCOUNT_TAG, Value: accountId }] }),
      })
      await client.send(command).catch((cause: unknown) => {
        if (cause instanceof Error && REFUSED.has(cause.name)) {
          throw new Error(`SES refused the message (${cause.name}).`)
        }
        if (cause instanceof Error && TOO_FAST.has(cause.name))
          throw rateLimited({ scope: 'all', retryAfterSeconds: undefined }, cause)
        throw new DomainError('temporarily_unavailable', { cause })
      })
    },
  }
}

/** SES accepts only 7-bit addresses. It refuses an address whose domain has no such form. */
function withAsciiDomain(address: string): string {
  const at = address.lastIndexOf('@') + 1
  return address.slice(0, at) + (asciiDomain(address.slice(at)) ?? address.slice(at))
}

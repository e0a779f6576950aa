import { randomUUID } from 'node:crypto'

/** An event of SES, as EventBridge delivers it. */
export interface MailEvent {
  id: string
  'detail-type': string
  source: 'aws.ses'
  detail: object
}

/** A message of which an event tells. */
interface About {
  id: string
  to: string
  tags: Record<string, string[]>
}

interface Report {
  type: 'Email Bounced' | 'Email Complaint Received' | 'Email Rejected'
  /** Whether SES puts the address on the account's suppression list. */
  suppresses?: true
  detail(to: string, at: string): object
}

const bounce = (bounceType: string, bounceSubType: string, suppresses?: true): Report => ({
  type: 'Email Bounced',
  ...(suppresses && { suppresses }),
  detail: (emailAddress, timestamp) => ({
    eventType: 'Bounce',
    bounce: {
      feedbackId: `${randomUUID()}-000000`,
      bounceType,
      bounceSubType,
      bouncedRecipients: [{ emailAddress, action: 'failed', status: '5.1.1' }],
      timestamp,
      reportingMTA: 'dns; a1-2.smtp-out.amazonses.com',
    },
  }),
})

const complaint = (complaintFeedbackType: string, suppresses?: true): Report => ({
  type: 'Email Complaint Received',
  ...(suppresses && { suppresses }),
  detail: (emailAddress, timestamp) => ({
    eventType: 'Complaint',
    complaint: {
      feedbackId: `${randomUUID()}-000000`,
      complaintSubType: null,
      complainedRecipients: [{ emailAddress }],
      timestamp,
      complaintFeedbackType,
    },
  }),
})

/** What can become of a message, by the name of the control. */
const REPORTS: Record<string, Report> = {
  bounce: bounce('Permanent', 'General', true),
  'soft-bounce': bounce('Transient', 'MailboxFull'),
  suppressed: bounce('Permanent', 'OnAccountSuppressionList'),
  complaint: complaint('abuse', true),
  'not-spam': complaint('not-spam'),
  reject: {
    type: 'Email Rejected',
    detail: () => ({ eventType: 'Reject', reject: { reason: 'Bad content' } }),
  },
}

function reportOf(what: string): Report {
  const report = Object.hasOwn(REPORTS, what) ? REPORTS[what] : undefined
  if (!report) throw new Error(`There is no report ${what}. There are: ${Object.keys(REPORTS).join(', ')}.`)
  return report
}

export const suppresses = (what: string): boolean => reportOf(what).suppresses === true

/** The event about a message that was sent just now. @throws Error that names the reports */
export function mailEventOf(what: string, { id, to, tags }: About, nowMs: number): MailEvent {
  const report = reportOf(what)
  const time = new Date(nowMs).toISOString()
  const mail = { timestamp: time, messageId: id, source: 'no-reply', destination: [to], tags }
  const envelope = { version: '0', account: '000000000000', region: 'eu-west-1', resources: [] }
  return {
    ...envelope,
    id: randomUUID(),
    'detail-type': report.type,
    source: 'aws.ses',
    ...{ time },
    detail: { ...report.detail(to, time), mail },
  }
}

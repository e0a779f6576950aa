import type { Events } from '../ports.ts'
import { awsUrl, poster } from './aws-post.ts'
import { type AwsCredentials, requestSigner } from './aws-sign.ts'

/** A bus of EventBridge, and the credentials to put events on it. */
export interface EventBus {
  busName: string
  region: string
  /** Replaces the address of EventBridge in the region. */
  endpoint?: string | undefined
  credentials: AwsCredentials
}

const LIMITS = { connectionTimeout: 1_000, requestTimeout: 5_000 }

/** What the events of this deployment have as their source. */
export const EVENT_SOURCE = 'bursar'

/** Puts events on the bus by EventBridge's API (PutEvents), one a request. */
export function eventBridgeBus({ busName, region, endpoint, credentials }: EventBus): Events {
  const url = new URL(endpoint ?? awsUrl('events', region))
  const post = poster(url, 'EventBridge', LIMITS)
  const sign = requestSigner(region, credentials, 'events')
  const headers = {
    host: url.host,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'AWSEvents.PutEvents',
  }
  return {
    async publish(type, detail) {
      const entry = {
        EventBusName: busName,
        Source: EVENT_SOURCE,
        DetailType: type,
        Detail: JSON.stringify(detail),
      }
      const body = JSON.stringify({ Entries: [entry] })
      const { status, text } = await post(sign({ headers, body }, Date.now()), body)
      if (status !== 200) throw new Error(`EventBridge answered ${status}`)
      const { FailedEntryCount, Entries } = JSON.parse(text)
      // EventBridge answers 200 also if it has not taken the event.
      if (FailedEntryCount !== 0) throw new Error(`EventBridge refused an event: ${Entries?.[0]?.ErrorCode}`)
    },
  }
}

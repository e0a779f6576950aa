import { join } from 'node:path'
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Placed } from '../../functions/http/route.ts'
import { integrationEvent } from '../local/event.ts'

/** What only a Lambda event can say of a body. */
export interface EventBody {
  body: string
  isBase64Encoded: boolean
  headers: Record<string, string>
}

/** Calls a public row's handler with an event whose body and headers are exactly these. */
export async function invoke(row: Placed, content: EventBody): Promise<APIGatewayProxyStructuredResultV2> {
  const [key] = row.routes
  const [method = '', target = ''] = key.split(' ')
  const request = {
    method,
    target,
    httpVersion: '1.1',
    rawHeaders: [],
    body: Buffer.alloc(0),
    sourceIp: '127.0.0.1',
    receivedMs: Date.now(),
    requestId: 'request-1',
  }
  const event = integrationEvent(request, { key, pathParameters: {} })
  const file = join(import.meta.dirname, '..', '..', 'functions', row.dialect, `${row.file}.ts`)
  const { handler } = await import(/* @vite-ignore */ file)
  return handler({ ...event, ...content }, {})
}

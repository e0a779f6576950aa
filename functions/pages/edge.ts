import { fileOf } from './site.ts'

/** CloudFront's event for a request that it has not looked up yet. */
interface ViewerRequest {
  request: { uri: string }
}

/** Runs at CloudFront's edge for each request of a page, and asks for the file that shows its path. */
export function handler(event: ViewerRequest) {
  const request = event.request
  request.uri = fileOf(request.uri)
  return request
}

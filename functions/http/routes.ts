import * as z from 'zod/mini'
import { markdown } from './markdown.ts'
import { place } from './route.ts'

export const http = place('http', {
  health: {
    routes: ['GET /health'],
    summary: 'Liveness check; touches no other service',
    description: 'Answers 200 while the function runs. It says nothing about the services behind Bursar.',
    auth: 'public',
    responses: { 200: z.object({ status: z.literal('ok') }) },
    errors: [],
    needs: [],
  },
  openapiDocument: {
    routes: ['GET /openapi.json'],
    summary: 'Reads this document',
    description: markdown(
      'The OpenAPI 3.1 document of every endpoint. `functions/openapi.json` in the repository is the same file.',
    ),
    auth: 'public',
    responses: { 200: z.looseObject({ openapi: z.string() }) },
    errors: [],
    needs: [],
  },
})

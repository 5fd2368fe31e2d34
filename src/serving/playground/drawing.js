// One request for pictures: as events with previews where the server has them, else in one piece.
import { ask, jsonEvents } from "./api.js";

const kPreviews = 3;

/** The bytes of a picture that came as base64. */
export function pictureOf(base64, type = "image/png") {
  const bytes = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
  return new Blob([bytes], { type });
}

// Without previews for several pictures, and where the server does not offer them.
async function open(request, signal) {
  const path = "v1/images/generations";
  if ((request.n ?? 1) > 1) return ask("POST", path, request, signal);
  try {
    return await ask("POST", path, { ...request, stream: true, partial_images: kPreviews }, signal);
  } catch (error) {
    if (error.status !== 400 || !/stream|partial_images/.test(error.message)) throw error;
    return ask("POST", path, request, signal);
  }
}

/** `onPreview` hears {picture, step, steps} while it is drawn. Gives {pictures, size}. */
export async function drawPictures(request, signal, onPreview) {
  const answer = await open(request, signal);
  if (!answer.headers.get("Content-Type").startsWith("text/event-stream")) return whole(await answer.json());
  const made = { pictures: [], size: undefined };
  for await (const { type, data } of jsonEvents(answer)) {
    if (type.endsWith("partial_image")) {
      const [step, steps] = data.steps ? [data.step, data.steps] : [data.partial_image_index + 1, kPreviews + 1];
      onPreview({ picture: pictureOf(data.b64_json), step, steps });
    } else if (data.b64_json) {
      made.pictures.push(pictureOf(data.b64_json));
      made.size ??= data.size;
    }
  }
  return made;
}

function whole({ data, size }) {
  return { pictures: data.map((one) => pictureOf(one.b64_json)), size };
}

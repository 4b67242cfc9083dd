//! What libva calls: pointers in, the driver's own functions behind them. Everything in this file
//! relies on libva keeping to va_backend.h: a context that `init` has filled, arrays as long as
//! their counts say, and places to write to for what is marked "out" there.
use std::{
    ffi::{c_int, c_uint, c_void},
    os::fd::{BorrowedFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sumac_backends::{
    Rect,
    dmabuf::{Fourcc, Shape},
};

use crate::{
    bindings as va,
    driver::{Buffer, Driver, Pipeline, Status},
    hevc,
};
use va::{VADriverContextP as Ctx, VAStatus};

const OK: VAStatus = va::VA_STATUS_SUCCESS as VAStatus;
const UNIMPLEMENTED: VAStatus = va::VA_STATUS_ERROR_UNIMPLEMENTED as VAStatus;

fn status(status: Status) -> VAStatus {
    status.cast_signed()
}

unsafe fn driver<'a>(ctx: Ctx) -> MutexGuard<'a, Driver> {
    let driver: &Mutex<Driver> = unsafe { &*(*ctx).pDriverData.cast() };
    driver.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The entry point of a driver: libva looks for its own minor version and all below.
///
/// # Safety
/// `ctx` is libva's context for a new display.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn __vaDriverInit_1_0(ctx: Ctx) -> VAStatus {
    let new = Driver::new();
    let no_sync_buffer = new.switches.no_sync_buffer;
    let context = unsafe { &mut *ctx };
    context.pDriverData = Box::into_raw(Box::new(Mutex::new(new))).cast();
    context.version_major = 1;
    context.version_minor = 17;
    context.max_profiles = 8;
    context.max_entrypoints = 8;
    context.max_attributes = 32;
    context.max_image_formats = 1;
    context.max_subpic_formats = 1;
    context.max_display_attributes = 1;
    context.str_vendor = c"Sumac test driver".as_ptr();
    fill(unsafe { &mut *context.vtable }, no_sync_buffer);
    OK
}

fn fill(table: &mut va::VADriverVTable, no_sync_buffer: bool) {
    table.vaTerminate = Some(terminate);
    table.vaQueryConfigProfiles = Some(profiles);
    table.vaQueryConfigEntrypoints = Some(entrypoints);
    table.vaGetConfigAttributes = Some(attributes);
    table.vaCreateConfig = Some(create_config);
    table.vaDestroyConfig = Some(destroy_config);
    table.vaQueryConfigAttributes = Some(stubs::query_config_attributes);
    table.vaCreateSurfaces = Some(stubs::create_surfaces);
    table.vaCreateSurfaces2 = Some(create_surfaces);
    table.vaDestroySurfaces = Some(destroy_surfaces);
    table.vaCreateContext = Some(create_context);
    table.vaDestroyContext = Some(destroy_context);
    table.vaCreateBuffer = Some(create_buffer);
    table.vaBufferSetNumElements = Some(stubs::buffer_set_num_elements);
    table.vaMapBuffer = Some(map_buffer);
    table.vaUnmapBuffer = Some(unmap_buffer);
    table.vaDestroyBuffer = Some(destroy_buffer);
    table.vaBeginPicture = Some(begin_picture);
    table.vaRenderPicture = Some(render_picture);
    table.vaEndPicture = Some(end_picture);
    table.vaSyncSurface = Some(sync_surface);
    table.vaSyncBuffer = if no_sync_buffer { None } else { Some(sync_buffer) };
    table.vaQuerySurfaceStatus = Some(stubs::query_surface_status);
    table.vaPutSurface = Some(stubs::put_surface);
    table.vaQueryImageFormats = Some(stubs::query_image_formats);
    table.vaCreateImage = Some(stubs::create_image);
    table.vaDeriveImage = Some(stubs::derive_image);
    table.vaDestroyImage = Some(stubs::destroy_image);
    table.vaSetImagePalette = Some(stubs::set_image_palette);
    table.vaGetImage = Some(stubs::get_image);
    table.vaPutImage = Some(stubs::put_image);
    table.vaQuerySubpictureFormats = Some(stubs::query_subpicture_formats);
    table.vaCreateSubpicture = Some(stubs::create_subpicture);
    table.vaDestroySubpicture = Some(stubs::destroy_subpicture);
    table.vaSetSubpictureImage = Some(stubs::set_subpicture_image);
    table.vaSetSubpictureChromakey = Some(stubs::set_subpicture_chromakey);
    table.vaSetSubpictureGlobalAlpha = Some(stubs::set_subpicture_global_alpha);
    table.vaAssociateSubpicture = Some(stubs::associate_subpicture);
    table.vaDeassociateSubpicture = Some(stubs::deassociate_subpicture);
    table.vaQueryDisplayAttributes = Some(stubs::query_display_attributes);
    table.vaGetDisplayAttributes = Some(stubs::get_display_attributes);
    table.vaSetDisplayAttributes = Some(stubs::get_display_attributes);
}

unsafe extern "C" fn terminate(ctx: Ctx) -> VAStatus {
    let raw: *mut Mutex<Driver> = unsafe { (*ctx).pDriverData.cast() };
    let mut driver = unsafe { Box::from_raw(raw) };
    driver.get_mut().unwrap_or_else(PoisonError::into_inner).end();
    OK
}

unsafe fn write_list<T: Copy>(list: &[T], to: *mut T, count: *mut c_int) -> VAStatus {
    unsafe { std::ptr::copy_nonoverlapping(list.as_ptr(), to, list.len()) };
    unsafe { *count = list.len() as c_int };
    OK
}

unsafe extern "C" fn profiles(ctx: Ctx, list: *mut va::VAProfile, count: *mut c_int) -> VAStatus {
    let mut all = vec![
        va::VAProfileH264ConstrainedBaseline,
        va::VAProfileH264High,
        va::VAProfileHEVCMain,
        va::VAProfileVP8Version0_3,
        va::VAProfileVP9Profile0,
        va::VAProfileJPEGBaseline,
    ];
    if !unsafe { driver(ctx) }.switches.no_vpp {
        all.push(va::VAProfileNone);
    }
    unsafe { write_list(&all, list, count) }
}

unsafe extern "C" fn entrypoints(
    ctx: Ctx,
    profile: va::VAProfile,
    list: *mut va::VAEntrypoint,
    count: *mut c_int,
) -> VAStatus {
    let switches = &unsafe { driver(ctx) }.switches;
    let all: &[va::VAEntrypoint] = match profile {
        va::VAProfileNone if switches.no_vpp => return status(va::VA_STATUS_ERROR_UNSUPPORTED_PROFILE),
        va::VAProfileNone => &[va::VAEntrypointVideoProc],
        va::VAProfileJPEGBaseline => &[va::VAEntrypointEncPicture],
        _ if switches.no_lp => &[va::VAEntrypointEncSlice],
        _ => &[va::VAEntrypointEncSlice, va::VAEntrypointEncSliceLP],
    };
    unsafe { write_list(all, list, count) }
}

unsafe extern "C" fn attributes(
    ctx: Ctx,
    profile: va::VAProfile,
    entrypoint: va::VAEntrypoint,
    list: *mut va::VAConfigAttrib,
    count: c_int,
) -> VAStatus {
    let (rates, no_packed) = {
        let driver = unsafe { driver(ctx) };
        (driver.rates(), driver.switches.no_packed && profile != va::VAProfileHEVCMain)
    };
    let encodes = matches!(entrypoint, va::VAEntrypointEncSlice | va::VAEntrypointEncSliceLP);
    for attribute in unsafe { std::slice::from_raw_parts_mut(list, count as usize) } {
        attribute.value = match attribute.type_ {
            va::VAConfigAttribRTFormat => va::VA_RT_FORMAT_YUV420 | va::VA_RT_FORMAT_RGB32,
            va::VAConfigAttribRateControl if encodes => rates,
            va::VAConfigAttribEncPackedHeaders if encodes && no_packed => va::VA_ENC_PACKED_HEADER_NONE,
            va::VAConfigAttribEncPackedHeaders if encodes => {
                va::VA_ENC_PACKED_HEADER_SEQUENCE | va::VA_ENC_PACKED_HEADER_PICTURE | va::VA_ENC_PACKED_HEADER_SLICE
            }
            va::VAConfigAttribEncPackedHeaders if entrypoint == va::VAEntrypointEncPicture => {
                va::VA_ENC_PACKED_HEADER_RAW_DATA
            }
            va::VAConfigAttribEncHEVCFeatures if profile == va::VAProfileHEVCMain => hevc::FEATURES,
            va::VAConfigAttribEncHEVCBlockSizes if profile == va::VAProfileHEVCMain => hevc::BLOCKS,
            va::VAConfigAttribMaxPictureWidth | va::VAConfigAttribMaxPictureHeight => 4096,
            _ => va::VA_ATTRIB_NOT_SUPPORTED,
        };
    }
    OK
}

unsafe extern "C" fn create_config(
    ctx: Ctx,
    profile: va::VAProfile,
    entrypoint: va::VAEntrypoint,
    list: *mut va::VAConfigAttrib,
    count: c_int,
    id: *mut va::VAConfigID,
) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    let refused = match (profile, entrypoint) {
        (va::VAProfileNone, va::VAEntrypointVideoProc) => driver.switches.no_vpp,
        (_, va::VAEntrypointEncSliceLP) => driver.switches.no_lp,
        (va::VAProfileJPEGBaseline, va::VAEntrypointEncPicture) | (_, va::VAEntrypointEncSlice) => false,
        _ => true,
    };
    if refused {
        return status(va::VA_STATUS_ERROR_UNSUPPORTED_ENTRYPOINT);
    }
    let attributes = unsafe { std::slice::from_raw_parts(list, count as usize) };
    let rate = attributes.iter().find(|a| a.type_ == va::VAConfigAttribRateControl).map_or(0, |a| a.value);
    let encodes = matches!(entrypoint, va::VAEntrypointEncSlice | va::VAEntrypointEncSliceLP);
    if encodes && (rate.count_ones() != 1 || rate & driver.rates() == 0) {
        return status(va::VA_STATUS_ERROR_INVALID_CONFIG);
    }
    unsafe { *id = driver.create_config(profile, rate) };
    OK
}

unsafe extern "C" fn destroy_config(ctx: Ctx, id: va::VAConfigID) -> VAStatus {
    status(unsafe { driver(ctx) }.destroy_config(id))
}

unsafe extern "C" fn create_surfaces(
    ctx: Ctx,
    _: c_uint,
    width: c_uint,
    height: c_uint,
    ids: *mut va::VASurfaceID,
    count: c_uint,
    list: *mut va::VASurfaceAttrib,
    attributes: c_uint,
) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    let mut descriptor = None;
    for n in 0..attributes as usize {
        let attribute = unsafe { &*list.add(n) };
        if attribute.type_ == va::VASurfaceAttribExternalBufferDescriptor {
            let pointer: *const va::VADRMPRIMESurfaceDescriptor = unsafe { attribute.value.value.p }.cast();
            descriptor = Some(unsafe { *pointer });
        } else if attribute.type_ == va::VASurfaceAttribMemoryType
            && unsafe { attribute.value.value.i } != va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2 as i32
        {
            return status(va::VA_STATUS_ERROR_UNSUPPORTED_MEMORY_TYPE);
        }
    }
    for n in 0..count as usize {
        let id = match &descriptor {
            None => driver.create_surface(width, height),
            Some(d) => match unsafe { import(&mut driver, d) } {
                Ok(id) => id,
                Err(error) => return status(error),
            },
        };
        unsafe { *ids.add(n) = id };
    }
    OK
}

unsafe fn import(driver: &mut Driver, d: &va::VADRMPRIMESurfaceDescriptor) -> Result<u32, Status> {
    let letters = match &d.fourcc.to_le_bytes() {
        b"BGRX" => *b"XR24",
        b"BGRA" => *b"AR24",
        other => *other,
    };
    let layer = &d.layers[0];
    let modifier = d.objects[0].drm_format_modifier;
    if d.num_layers != 1 || layer.num_planes > 4 || Fourcc(layer.drm_format) != Fourcc::from_bytes(letters) {
        return Err(va::VA_STATUS_ERROR_INVALID_PARAMETER);
    }
    let mut planes: Vec<(OwnedFd, u32, u32)> = Vec::new();
    for n in 0..layer.num_planes as usize {
        let object = &d.objects[layer.object_index[n] as usize & 3];
        let fd = unsafe { BorrowedFd::borrow_raw(object.fd) };
        let fd = fd.try_clone_to_owned().map_err(|_| va::VA_STATUS_ERROR_INVALID_PARAMETER)?;
        planes.push((fd, layer.offset[n], layer.pitch[n]));
    }
    let fourcc = Fourcc::from_bytes(letters);
    driver.import(Shape { width: d.width, height: d.height, fourcc, modifier, y_inverted: false }, planes)
}

unsafe extern "C" fn destroy_surfaces(ctx: Ctx, ids: *mut va::VASurfaceID, count: c_int) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    let ids = unsafe { std::slice::from_raw_parts(ids, count as usize) };
    ids.iter().map(|id| status(driver.destroy_surface(*id))).max().unwrap_or(OK)
}

unsafe extern "C" fn create_context(
    ctx: Ctx,
    config: va::VAConfigID,
    width: c_int,
    height: c_int,
    _: c_int,
    _: *mut va::VASurfaceID,
    _: c_int,
    id: *mut va::VAContextID,
) -> VAStatus {
    match unsafe { driver(ctx) }.create_context(config, width as u32, height as u32) {
        Ok(new) => {
            unsafe { *id = new };
            OK
        }
        Err(error) => status(error),
    }
}

unsafe extern "C" fn destroy_context(ctx: Ctx, id: va::VAContextID) -> VAStatus {
    status(unsafe { driver(ctx) }.destroy_context(id))
}

/// Buffers of one type are told apart by their sizes.
const _: () = {
    let pictures = [
        size_of::<va::VAEncPictureParameterBufferH264>(),
        size_of::<va::VAEncPictureParameterBufferJPEG>(),
        size_of::<va::VAEncPictureParameterBufferVP8>(),
        size_of::<va::VAEncPictureParameterBufferVP9>(),
        size_of::<va::VAEncPictureParameterBufferHEVC>(),
    ];
    let mut n = 0;
    while n < pictures.len() {
        let mut m = 0;
        while m < n {
            assert!(pictures[n] != pictures[m]);
            m += 1;
        }
        n += 1;
    }
    assert!(size_of::<va::VAEncSequenceParameterBufferVP8>() != size_of::<va::VAEncSequenceParameterBufferVP9>());
    assert!(size_of::<va::VAQMatrixBufferVP8>() != size_of::<va::VAQMatrixBufferJPEG>());
};

unsafe extern "C" fn create_buffer(
    ctx: Ctx,
    _: va::VAContextID,
    kind: va::VABufferType,
    size: c_uint,
    _: c_uint,
    data: *mut c_void,
    id: *mut va::VABufferID,
) -> VAStatus {
    let size = size as usize;
    let whole = |wanted: usize| size == wanted && !data.is_null();
    let buffer = match kind {
        va::VAEncSequenceParameterBufferType if whole(size_of::<va::VAEncSequenceParameterBufferH264>()) => {
            Buffer::Sequence(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPictureParameterBufferType if whole(size_of::<va::VAEncPictureParameterBufferH264>()) => {
            Buffer::Picture(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSliceParameterBufferType if whole(size_of::<va::VAEncSliceParameterBufferH264>()) => {
            Buffer::Slice(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSequenceParameterBufferType if whole(size_of::<va::VAEncSequenceParameterBufferHEVC>()) => {
            Buffer::HevcSequence(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPictureParameterBufferType if whole(size_of::<va::VAEncPictureParameterBufferHEVC>()) => {
            Buffer::HevcPicture(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSliceParameterBufferType if whole(size_of::<va::VAEncSliceParameterBufferHEVC>()) => {
            Buffer::HevcSlice(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPictureParameterBufferType if whole(size_of::<va::VAEncPictureParameterBufferJPEG>()) => {
            Buffer::JpegPicture(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSliceParameterBufferType if whole(size_of::<va::VAEncSliceParameterBufferJPEG>()) => {
            Buffer::JpegScan(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSequenceParameterBufferType if whole(size_of::<va::VAEncSequenceParameterBufferVP8>()) => {
            Buffer::Vp8Sequence(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPictureParameterBufferType if whole(size_of::<va::VAEncPictureParameterBufferVP8>()) => {
            Buffer::Vp8Picture(Box::new(unsafe { *data.cast() }))
        }
        va::VAQMatrixBufferType if whole(size_of::<va::VAQMatrixBufferVP8>()) => {
            Buffer::Vp8Quantisers(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncSequenceParameterBufferType if whole(size_of::<va::VAEncSequenceParameterBufferVP9>()) => {
            Buffer::Vp9Sequence(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPictureParameterBufferType if whole(size_of::<va::VAEncPictureParameterBufferVP9>()) => {
            Buffer::Vp9Picture(Box::new(unsafe { *data.cast() }))
        }
        va::VAQMatrixBufferType if whole(size_of::<va::VAQMatrixBufferJPEG>()) => {
            Buffer::Quantisers(Box::new(unsafe { *data.cast() }))
        }
        va::VAHuffmanTableBufferType if whole(size_of::<va::VAHuffmanTableBufferJPEGBaseline>()) => {
            Buffer::Huffman(Box::new(unsafe { *data.cast() }))
        }
        va::VAEncPackedHeaderParameterBufferType if whole(size_of::<va::VAEncPackedHeaderParameterBuffer>()) => {
            let packed: va::VAEncPackedHeaderParameterBuffer = unsafe { *data.cast() };
            Buffer::PackedKind(packed.type_, packed.bit_length as usize)
        }
        va::VAEncPackedHeaderDataBufferType if !data.is_null() => {
            Buffer::PackedData(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), size) }.to_vec())
        }
        va::VAProcPipelineParameterBufferType if whole(size_of::<va::VAProcPipelineParameterBuffer>()) => {
            Buffer::Pipeline(unsafe { pipeline(&*data.cast()) })
        }
        va::VAEncMiscParameterBufferType if !data.is_null() => match unsafe { misc(data, size) } {
            Some(buffer) => buffer,
            None => return status(va::VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE),
        },
        va::VAEncCodedBufferType => Buffer::Coded { most: size, segment: Box::default(), bytes: Vec::new() },
        _ => return status(va::VA_STATUS_ERROR_UNSUPPORTED_BUFFERTYPE),
    };
    unsafe { *id = driver(ctx).create_buffer(buffer) };
    OK
}

/// A type, and behind it the structure that it names.
unsafe fn misc(data: *mut c_void, size: usize) -> Option<Buffer> {
    let kind: u32 = unsafe { *data.cast() };
    let body = unsafe { data.byte_add(size_of::<u32>()) };
    let whole = |wanted: usize| size == size_of::<u32>() + wanted;
    match kind {
        va::VAEncMiscParameterTypeRateControl if whole(size_of::<va::VAEncMiscParameterRateControl>()) => {
            Some(Buffer::RateControl(unsafe { *body.cast() }))
        }
        va::VAEncMiscParameterTypeFrameRate if whole(size_of::<va::VAEncMiscParameterFrameRate>()) => {
            Some(Buffer::FrameRate(unsafe { *body.cast() }))
        }
        va::VAEncMiscParameterTypeHRD if whole(size_of::<va::VAEncMiscParameterHRD>()) => {
            Some(Buffer::Hrd(unsafe { *body.cast() }))
        }
        _ => None,
    }
}

unsafe fn pipeline(p: &va::VAProcPipelineParameterBuffer) -> Pipeline {
    let rect = |r: *const va::VARectangle| {
        let r = unsafe { *r };
        Rect { x: r.x as u32, y: r.y as u32, width: r.width.into(), height: r.height.into() }
    };
    Pipeline {
        surface: p.surface,
        from: rect(p.surface_region),
        to: rect(p.output_region),
        mirrored: p.mirror_state == va::VA_MIRROR_VERTICAL,
        standards: (p.surface_color_standard, p.output_color_standard),
        ranges: (p.input_color_properties.color_range, p.output_color_properties.color_range),
    }
}

unsafe extern "C" fn map_buffer(ctx: Ctx, id: va::VABufferID, to: *mut *mut c_void) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    let Some(Buffer::Coded { segment, .. }) = driver.buffer(id) else {
        return status(va::VA_STATUS_ERROR_INVALID_BUFFER);
    };
    unsafe { *to = std::ptr::from_mut(&mut **segment).cast() };
    OK
}

unsafe extern "C" fn unmap_buffer(_: Ctx, _: va::VABufferID) -> VAStatus {
    OK
}

unsafe extern "C" fn destroy_buffer(ctx: Ctx, id: va::VABufferID) -> VAStatus {
    status(unsafe { driver(ctx) }.destroy_buffer(id))
}

unsafe extern "C" fn begin_picture(ctx: Ctx, context: va::VAContextID, target: va::VASurfaceID) -> VAStatus {
    status(unsafe { driver(ctx) }.begin(context, target))
}

unsafe extern "C" fn render_picture(
    ctx: Ctx,
    context: va::VAContextID,
    ids: *mut va::VABufferID,
    count: c_int,
) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    let ids = unsafe { std::slice::from_raw_parts(ids, count as usize) };
    ids.iter().map(|id| status(driver.render(context, *id))).max().unwrap_or(OK)
}

unsafe extern "C" fn end_picture(ctx: Ctx, context: va::VAContextID) -> VAStatus {
    status(unsafe { driver(ctx) }.end_picture(context))
}

unsafe extern "C" fn sync_surface(ctx: Ctx, id: va::VASurfaceID) -> VAStatus {
    let driver = unsafe { driver(ctx) };
    if driver.lost() {
        return status(va::VA_STATUS_ERROR_OPERATION_FAILED);
    }
    let known = driver.has_surface(id);
    status(if known { va::VA_STATUS_SUCCESS } else { va::VA_STATUS_ERROR_INVALID_SURFACE })
}

unsafe extern "C" fn sync_buffer(ctx: Ctx, id: va::VABufferID, _: u64) -> VAStatus {
    let mut driver = unsafe { driver(ctx) };
    if driver.lost() {
        return status(va::VA_STATUS_ERROR_OPERATION_FAILED);
    }
    let known = driver.buffer(id).is_some();
    status(if known { va::VA_STATUS_SUCCESS } else { va::VA_STATUS_ERROR_INVALID_BUFFER })
}

/// What libva wants to be there and nobody here calls.
mod stubs {
    use super::{Ctx, UNIMPLEMENTED, VAStatus, c_int, c_uint, c_void, va};

    macro_rules! stubs {
        ($($name:ident($($argument:ty),*);)*) => {$(
            pub(super) unsafe extern "C" fn $name(_: Ctx $(, _: $argument)*) -> VAStatus {
                UNIMPLEMENTED
            }
        )*};
    }

    stubs! {
        query_config_attributes(u32, *mut va::VAProfile, *mut va::VAEntrypoint, *mut va::VAConfigAttrib, *mut c_int);
        create_surfaces(c_int, c_int, c_int, c_int, *mut u32);
        buffer_set_num_elements(u32, c_uint);
        query_surface_status(u32, *mut va::VASurfaceStatus);
        put_surface(u32, *mut c_void, i16, i16, u16, u16, i16, i16, u16, u16, *mut va::VARectangle, c_uint, c_uint);
        query_image_formats(*mut va::VAImageFormat, *mut c_int);
        create_image(*mut va::VAImageFormat, c_int, c_int, *mut va::VAImage);
        derive_image(u32, *mut va::VAImage);
        destroy_image(u32);
        set_image_palette(u32, *mut u8);
        get_image(u32, c_int, c_int, c_uint, c_uint, u32);
        put_image(u32, u32, c_int, c_int, c_uint, c_uint, c_int, c_int, c_uint, c_uint);
        query_subpicture_formats(*mut va::VAImageFormat, *mut c_uint, *mut c_uint);
        create_subpicture(u32, *mut u32);
        destroy_subpicture(u32);
        set_subpicture_image(u32, u32);
        set_subpicture_chromakey(u32, c_uint, c_uint, c_uint);
        set_subpicture_global_alpha(u32, f32);
        associate_subpicture(u32, *mut u32, c_int, i16, i16, u16, u16, i16, i16, u16, u16, c_uint);
        deassociate_subpicture(u32, *mut u32, c_int);
        query_display_attributes(*mut va::VADisplayAttribute, *mut c_int);
        get_display_attributes(*mut va::VADisplayAttribute, c_int);
    }
}
